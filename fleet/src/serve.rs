//! `muster serve`: broker, enrolment and API around one controller, from start to signal.
//!
//! Only starts, connects and stops; decides nothing.

use std::sync::Arc;
use std::time::Duration;

use muster_protocol::id::DeviceId;
use muster_protocol::limits::MESSAGE_BYTES_MAX;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::addresses::Addresses;
use crate::api;
use crate::broker::{Broker, BrokerConfig, Handlers, Presence};
use crate::config::Config;
use crate::controller::{Controller, Endpoints, Outgoing};
use crate::error::{Exit, OperatorError};
use crate::home::Home;
use crate::output::{note, print_line};

/// Sessions that the broker keeps, connected or not.
const SESSIONS_MAX: usize = 20_000;
/// How often it is looked whether snapshot and timestamp must be signed anew.
const REFRESH_EVERY: Duration = Duration::from_secs(15 * 60);

/// Runs the controller of a home until SIGINT or SIGTERM.
///
/// # Errors
/// A port in use, a home that is damaged; see the parts.
pub(crate) async fn run(config: Config, home: Home) -> Result<(), OperatorError> {
    let mut signals = Signals::new()?;
    let _alone = home.lock()?;
    let controller = Arc::new(Controller::open(&home)?);
    controller.forget_connections().await?;
    refresh(&controller).await;

    // Before the first device connects, so that its answers wait for the broker.
    let outgoing = controller.outgoing();
    let (heard, presences) = mpsc::unbounded_channel();
    let broker = start_broker(&config, &home, &controller, heard).await?;
    let local = broker.local_addr();
    let endpoints = |enroll_port| Endpoints {
        broker_url: config.broker_url_for(local.port()),
        enroll_url: config.enroll_url_for(enroll_port),
    };
    controller.set_endpoints(endpoints(config.enroll_listen.port()));
    let enrolment =
        api::start_enrolment(config.enroll_listen, &home, Arc::clone(&controller)).await?;
    controller.set_endpoints(endpoints(enrolment.local_addr().port()));
    let token = api::token_digest(&home)?;
    let api = api::start(config.api_listen, token, Arc::clone(&controller)).await?;

    let broker = Arc::new(broker);
    let background = [
        tokio::spawn(publish_all(Arc::clone(&broker), outgoing)),
        tokio::spawn(keep_fresh(Arc::clone(&controller))),
        tokio::spawn(record_presences(Arc::clone(&controller), presences)),
    ];
    let addresses = Addresses {
        broker: local,
        enroll: enrolment.local_addr(),
        api: api.local_addr(),
    };
    addresses.write(&home)?;
    say_ready(&addresses);
    let token = home.api_token();
    let (page, token) = (addresses.api, token.display());
    note(format_args!(
        "the page: http://{page}/, to be opened with the text of {token}"
    ));

    signals.wait().await;
    tracing::info!("stopping");
    api.stop().await;
    enrolment.stop().await;
    stop(broker, background).await;
    Ok(())
}

/// The one line that programs which start it wait for.
fn say_ready(addresses: &Addresses) {
    let Addresses {
        broker,
        enroll,
        api,
    } = addresses;
    print_line(&format!("ready broker={broker} enroll={enroll} api={api}"));
}

async fn start_broker(
    config: &Config,
    home: &Home,
    controller: &Arc<Controller>,
    heard: mpsc::UnboundedSender<(DeviceId, Presence)>,
) -> Result<Broker, OperatorError> {
    let broker = BrokerConfig {
        listen: config.broker_listen,
        certificate: home.server_pem(),
        key: home.server_key(),
        client_ca: home.client_ca_pem(),
        payload_bytes_max: MESSAGE_BYTES_MAX,
        sessions_max: SESSIONS_MAX,
        topic_prefix: config.topic_prefix.clone(),
    };
    let (ingest, admit) = (Arc::clone(controller), Arc::clone(controller));
    let handlers = Handlers {
        ingest: Arc::new(move |incoming| {
            let controller = Arc::clone(&ingest);
            Box::pin(async move { controller.ingest(incoming).await })
        }),
        admit: Arc::new(move |device, serial| admit.admit(device, serial)),
        presence: Arc::new(move |device, presence| {
            if let Ok(device) = DeviceId::parse(device) {
                // Gone only when the program stops.
                let _stopping = heard.send((device, presence));
            }
        }),
    };
    Ok(Broker::start(broker, handlers).await?)
}

async fn publish_all(broker: Arc<Broker>, outgoing: Option<mpsc::Receiver<Outgoing>>) {
    let Some(mut outgoing) = outgoing else { return };
    while let Some(next) = outgoing.recv().await {
        match next {
            Outgoing::Message {
                topic,
                payload,
                retain,
            } => {
                if let Err(error) = broker.publish(&topic, payload, retain).await {
                    tracing::error!("failed to publish on {topic:?}: because {error}");
                }
            }
            // The session may be waiting for an answer that comes through here.
            Outgoing::Disconnect(device) => {
                let broker = Arc::clone(&broker);
                tokio::spawn(async move { broker.disconnect(device.as_str()).await });
            }
        }
    }
}

/// The first round also publishes the retained hint, which the broker has forgotten.
async fn keep_fresh(controller: Arc<Controller>) {
    let mut rounds = tokio::time::interval(REFRESH_EVERY);
    loop {
        rounds.tick().await;
        refresh(&controller).await;
    }
}

/// Without fresh metadata devices take up nothing new, but they serve and report: that it fails,
/// because root or targets have expired, is no reason to leave them alone.
async fn refresh(controller: &Controller) {
    if let Err(error) = controller.refresh().await {
        tracing::error!(
            "failed to sign snapshot and timestamp: because {error}: \
             hint: if root or targets have expired, sign and publish them anew"
        );
    }
}

async fn record_presences(
    controller: Arc<Controller>,
    mut presences: mpsc::UnboundedReceiver<(DeviceId, Presence)>,
) {
    while let Some((device, presence)) = presences.recv().await {
        if let Err(error) = controller.connection(device, presence).await {
            tracing::warn!("failed to record a connection: because {error}");
        }
    }
}

async fn stop<const N: usize>(broker: Arc<Broker>, background: [JoinHandle<()>; N]) {
    for task in background {
        task.abort();
        let _aborted = task.await;
    }
    if let Some(broker) = Arc::into_inner(broker) {
        broker.stop().await;
    }
}

struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, OperatorError> {
        let failed = |error: std::io::Error| {
            OperatorError::new(Exit::Resource, "listen for signals", error, "report this")
        };
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(Self {
            interrupt,
            terminate,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
