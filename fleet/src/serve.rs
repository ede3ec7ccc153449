//! `muster serve`: broker, enrolment and API around one controller, from start to signal.
//!
//! Only starts, connects and stops; decides nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::addresses::Addresses;
use crate::alert;
use crate::api;
use crate::broker::Broker;
use crate::config::{BrokerPlace, Config, Retention};
use crate::controller::{Controller, Endpoints};
use crate::error::{Exit, OperatorError};
use crate::home::Home;
use crate::output::{note, print_line};
use crate::replace;

mod brokers;

/// How often it is looked whether snapshot and timestamp must be signed anew.
const REFRESH_EVERY: Duration = Duration::from_secs(15 * 60);

/// How often it is looked what is older than it is kept.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// How often incidents are looked at: whom nobody was told of, and what has been quiet.
const TEND_EVERY: Duration = Duration::from_secs(5);

/// How often it is looked whether a retrain is to be asked for: days are judged, when they ended.
const RETRAIN_EVERY: Duration = Duration::from_secs(3600);

/// How often rollouts are looked at: well below the shortest window of a canary ring.
const TICK_EVERY: Duration = Duration::from_secs(2);

/// Runs the controller of a home until SIGINT or SIGTERM.
///
/// # Errors
/// A port in use, a home that is damaged; see the parts.
pub(crate) async fn run(config: Config, home: Home) -> Result<(), OperatorError> {
    let mut signals = Signals::new()?;
    let _alone = home.lock()?;
    replace::settle(&home)?;
    let controller = Arc::new(Controller::open(&home)?);
    let postmen = alert::postmen(&config, &home)?;
    controller.forget_connections().await?;
    refresh(&controller).await;

    if let Err(error) = controller.write_revocations().await {
        tracing::error!("failed to write the revocation list: because {error}");
    }

    // Before the first device connects, so that its answers wait for the brokers.
    let outgoing = controller.outgoing();
    let (heard, presences) = brokers::presences();
    let started = brokers::start(&config, &home, &controller, &heard).await?;
    let local = started.iter().find_map(|broker| broker.local_addr());
    let port = local.map_or(config.broker_listen.port(), |local| local.port());
    let endpoints = |enroll_port| Endpoints {
        broker_url: config.broker_url_for(port),
        enroll_url: config.enroll_url_for(enroll_port),
    };
    controller.set_endpoints(endpoints(config.enroll_listen.port()));
    let enrolment =
        api::start_enrolment(config.enroll_listen, &home, Arc::clone(&controller)).await?;
    controller.set_endpoints(endpoints(enrolment.local_addr().port()));
    let token = api::token_digest(&home)?;
    let api = api::start(config.api_listen, token, Arc::clone(&controller)).await?;

    let background = [
        tokio::spawn(brokers::publish_all(started.clone(), outgoing)),
        tokio::spawn(send_acks(Arc::clone(&controller))),
        tokio::spawn(keep_fresh(Arc::clone(&controller))),
        tokio::spawn(keep_rolling(Arc::clone(&controller))),
        tokio::spawn(keep_watching(Arc::clone(&controller))),
        tokio::spawn(forget(Arc::clone(&controller), config.retention)),
        tokio::spawn(tend_incidents(Arc::clone(&controller))),
        tokio::spawn(ask_for_retrains(Arc::clone(&controller))),
        tokio::spawn(alert::deliver(Arc::clone(&controller), postmen)),
        tokio::spawn(brokers::record_presences(
            Arc::clone(&controller),
            presences,
        )),
    ];
    let addresses = Addresses {
        broker: local,
        enroll: enrolment.local_addr(),
        api: api.local_addr(),
    };
    addresses.write(&home)?;
    warn_of_another_broker(&config, &controller, port);
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
    stop(started, background).await;
    Ok(())
}

/// The one line that programs which start it wait for.
fn say_ready(addresses: &Addresses) {
    let Addresses { enroll, api, .. } = addresses;
    let broker = addresses
        .broker
        .map_or_else(|| "external".to_owned(), |broker| broker.to_string());
    print_line(&format!("ready broker={broker} enroll={enroll} api={api}"));
}

/// Devices follow `fleet.json`, so that a configuration that says otherwise leads nobody anywhere.
fn warn_of_another_broker(config: &Config, controller: &Controller, port: u16) {
    let Some(named) = controller.named_broker().map(|named| named.to_string()) else {
        return;
    };
    let heard = config.broker.places().iter().any(|place| match place {
        BrokerPlace::External(url) => url.to_string() == named,
        BrokerPlace::Embedded => config.broker_url_for(port) == named,
    });
    if !heard {
        tracing::warn!(
            "fleet.json sends devices to {named}, and muster.toml names no such broker: \
             hint: if that is another way to the same one, all is well; otherwise \
             `muster fleet set --mqtt` changes fleet.json"
        );
    }
}

/// What was stored is acknowledged.
async fn send_acks(controller: Arc<Controller>) {
    controller.send_acks().await;
}

/// What is older than it is kept goes.
async fn forget(controller: Arc<Controller>, retention: Retention) {
    let mut rounds = tokio::time::interval(FORGET_EVERY);
    loop {
        rounds.tick().await;
        match controller.forget(retention).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "removed what is older than muster.toml keeps it"),
            Err(error) => tracing::error!("failed to remove what is old: because {error}"),
        }
    }
}

/// Incidents are told, and close when they are quiet.
async fn tend_incidents(controller: Arc<Controller>) {
    match controller.missing_webhooks().await {
        Ok(missing) if missing.is_empty() => {}
        Ok(missing) => {
            let missing = missing.join(", ");
            tracing::warn!("the rules name webhooks that muster.toml does not have: {missing}");
        }
        Err(error) => tracing::error!("failed to read the rules: because {error}"),
    }
    let mut rounds = tokio::time::interval(TEND_EVERY);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        if let Err(error) = controller.tend_incidents().await {
            tracing::error!("failed to look at incidents: because {error}");
        }
    }
}

/// A retrain is asked for when the days that ended say so.
async fn ask_for_retrains(controller: Arc<Controller>) {
    let mut rounds = tokio::time::interval(RETRAIN_EVERY);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        match controller.ask_for_retrains().await {
            Ok(asked) if asked.is_empty() => {}
            Ok(asked) => tracing::info!(?asked, "asked for a retrain"),
            Err(error) => tracing::error!("failed to look for retrains: because {error}"),
        }
    }
}

/// Rollouts go on by what devices say and by the time that passes.
async fn keep_rolling(controller: Arc<Controller>) {
    let mut rounds = tokio::time::interval(TICK_EVERY);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        controller.tick_rollouts().await;
    }
}

/// Windows are looked at as they come.
async fn keep_watching(controller: Arc<Controller>) {
    let mut rounds = tokio::time::interval(TICK_EVERY);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        controller.watch_windows().await;
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

async fn stop<const N: usize>(brokers: Vec<Arc<Broker>>, background: [JoinHandle<()>; N]) {
    for task in background {
        task.abort();
        let _aborted = task.await;
    }
    for broker in brokers {
        if let Some(broker) = Arc::into_inner(broker) {
            broker.stop().await;
        }
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
