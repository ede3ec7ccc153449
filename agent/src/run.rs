//! `muster-agent run`: starts everything and ends everything; the only loop.
//!
//! One thread: what takes long runs in tasks and answers by an event.

use crate::clock;
use crate::config::Config;
use crate::enroll::Identity;
use crate::error::Failure;
use crate::link::{Link, LinkConfig, LinkEvent, Timeouts};
use crate::serve::{self, ServeConfig, Server, Sticks};
use crate::serving;
use crate::store::Store;
use crate::supervisor::{Effect, Event, Supervisor};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Events that wait for the loop, of each kind.
const EVENTS_MAX: usize = 64;
/// Seconds between two pings to the broker.
const KEEP_ALIVE_S: u16 = 30;
/// Longest time that ending takes.
const END_MS_MAX: u64 = 10_000;

/// Arguments of `muster-agent run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// State folder.
    #[arg(long, env = "MUSTER_STATE", default_value = "/var/lib/muster")]
    pub state: PathBuf,
    /// Settings; without it STATE/agent.toml, or the defaults.
    #[arg(long)]
    pub config: Option<PathBuf>,
}

/// Serves until it is told to end.
///
/// # Errors
/// Whatever keeps an agent from starting.
pub async fn run(args: &RunArgs) -> Result<(), Failure> {
    let config = Config::load(args.config.as_deref(), &args.state)?;
    let identity = Identity::load(&args.state)?;
    let store = Store::open(&args.state)?;
    seed_root(&store, &identity)?;
    let (serving_events, mut serving_rx) = mpsc::channel::<serving::Event>(EVENTS_MAX);
    let (effects, mut effects_rx) = mpsc::channel::<Effect>(EVENTS_MAX);
    let link_config = link_config(&identity, &args.state);
    let (sticks, mut sticks_rx) = mpsc::channel(EVENTS_MAX);
    let serve_config = serve_config(&config, &args.state);
    let mut supervisor = Supervisor::start(config, identity, store, serving_events, effects)?;
    let server = start_server(serve_config, &supervisor, sticks).await?;
    announce(&server);
    let (mut link, mut link_rx) = start_link(link_config, &supervisor)?;
    supervisor.set_publisher(link.publisher());
    let mut ending = Ending::new()?;
    loop {
        let event = tokio::select! {
            () = ending.asked() => break,
            Some(event) = link_rx.recv() => Event::Link(event),
            Some(event) = serving_rx.recv() => Event::Serving(event),
            Some(effect) = effects_rx.recv() => Event::Effect(effect),
            Some(request) = sticks_rx.recv() => Event::Stick(request),
            () = until(supervisor.next_due()) => Event::Tick,
        };
        supervisor.handle(event);
        lead(&mut link, &mut supervisor);
    }
    tracing::info!("ending");
    end(&mut supervisor, &mut serving_rx, server, link).await;
    Ok(())
}

/// The first root comes with the identity; later ones replace it in the metadata folder.
pub(crate) fn seed_root(store: &Store, identity: &Identity) -> Result<(), Failure> {
    let path = store.folder().join("metadata").join("root.json");
    if !path.exists() {
        crate::store::atomic::write(&path, &identity.root)?;
    }
    Ok(())
}

/// Leads the link where the supervisor wants it from now on, under its newest certificate.
fn lead(link: &mut Link, supervisor: &mut Supervisor) {
    if let Some(credentials) = supervisor.renewed_credentials()
        && let Err(error) = link.show(credentials, supervisor.link_target())
    {
        tracing::error!("the link keeps its certificate: because {error}");
    }
    if let Some(target) = supervisor.link_wanted()
        && let Err(error) = link.lead_to(target)
    {
        tracing::error!("the link stays where it is: because {error}");
    }
}

async fn until(due: muster_protocol::time::Millis) {
    tokio::time::sleep(Duration::from_millis(due.since(clock::monotonic()))).await;
}

/// What serves counts its last window before the process ends.
async fn end(
    supervisor: &mut Supervisor,
    serving_rx: &mut mpsc::Receiver<serving::Event>,
    server: Server,
    link: Link,
) {
    let last = async {
        server.stop().await;
        supervisor.end_serving();
        while supervisor.is_serving() {
            match serving_rx.recv().await {
                // Verdicts are not acted on any more: nothing new is to start now.
                Some(serving::Event::Failed { .. } | serving::Event::Ready { .. }) => {}
                Some(event) => supervisor.handle(Event::Serving(event)),
                None => break,
            }
        }
        link.stop().await;
    };
    if tokio::time::timeout(Duration::from_millis(END_MS_MAX), last)
        .await
        .is_err()
    {
        tracing::warn!("ended without waiting any longer");
    }
}

fn link_config(identity: &Identity, state: &Path) -> LinkConfig {
    LinkConfig {
        device: identity.device.clone(),
        topic_prefix: identity.topic_prefix.clone(),
        credentials: identity.credentials.clone(),
        state_folder: state.join("run"),
        keep_alive_s: KEEP_ALIVE_S,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        timeouts: Timeouts::of_keep_alive(KEEP_ALIVE_S),
    }
}

fn start_link(
    config: LinkConfig,
    supervisor: &Supervisor,
) -> Result<(Link, mpsc::Receiver<LinkEvent>), Failure> {
    let time = supervisor.trusted_time();
    let now = move || {
        let time = time.lock().unwrap_or_else(PoisonError::into_inner);
        time.unix(clock::monotonic())
    };
    let seed = clock::monotonic_us();
    let target = supervisor.link_target();
    Ok(Link::start(config, target, std::sync::Arc::new(now), seed)?)
}

fn serve_config(config: &Config, state: &Path) -> ServeConfig {
    ServeConfig {
        http: config.http,
        socket: Some(state.join(&config.socket)),
        body_bytes_max: config.body_mib_max * 1024 * 1024,
        ..ServeConfig::default()
    }
}

async fn start_server(
    config: ServeConfig,
    supervisor: &Supervisor,
    sticks: Sticks,
) -> Result<Server, Failure> {
    let status = supervisor.status();
    let read = move || {
        status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    };
    Ok(serve::start(
        config,
        supervisor.routes(),
        std::sync::Arc::new(read),
        sticks,
    )
    .await?)
}

/// One line for scripts: where the local server listens.
fn announce(server: &Server) {
    let http = server
        .local_addr()
        .map_or("-".to_owned(), |address| address.to_string());
    crate::print::data(&format!("ready http={http}\n"));
}

/// The two signals that end an agent in good order.
struct Ending {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Ending {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::Signals);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
