//! `muster init`: a new home with all keys, certificates, the first signed metadata and a token.
//!
//! Never touches a home that exists. The configuration is written last: what was not finished is
//! no home.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use muster_protocol::digest::Digest;
use muster_protocol::time::UnixSeconds;
use serde::Serialize;

use crate::authority::{self, Founded, LOCAL_NAMES};
use crate::cli::Context;
use crate::clock;
use crate::config::Config;
use crate::endpoint::{HttpsUrl, MqttUrl};
use crate::error::{Exit, OperatorError};
use crate::home::{Home, write_private};
use crate::key_file;
use crate::output::note;

mod metadata;

/// What a new home is made with.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A host name or address under which devices reach the controller; the first one is given
    /// to them.
    #[arg(long = "host", value_name = "NAME|IP")]
    hosts: Vec<String>,
    /// Where devices connect; port 0 takes one that is free now.
    #[arg(long, value_name = "ADDRESS:PORT")]
    broker_listen: Option<SocketAddr>,
    /// Where devices enrol; port 0 takes one that is free now.
    #[arg(long, value_name = "ADDRESS:PORT")]
    enroll_listen: Option<SocketAddr>,
    /// Where the API listens, on loopback; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    api_listen: Option<SocketAddr>,
    /// The broker as devices reach it, when that is not where it listens: through a proxy, or on
    /// another machine.
    #[arg(long, value_name = "mqtts://HOST:PORT")]
    broker_url: Option<MqttUrl>,
    /// Enrolment as devices reach it, likewise.
    #[arg(long, value_name = "https://HOST:PORT")]
    enroll_url: Option<HttpsUrl>,
}

/// What a new home is told by.
#[derive(Debug, Serialize)]
struct Made {
    home: String,
    root: String,
    ca: String,
    host_names: Vec<String>,
}

/// Runs it.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), OperatorError> {
    let (config, now) = (configured(args)?, clock::now());
    // Before anything is written: a wrong host name leaves nothing behind.
    let founded = authority::found(&config.host_names, now).map_err(|error| {
        let hint = "name hosts as devices reach them, without scheme and port: fleet.example";
        OperatorError::new(Exit::BadInput, "make certificates", error, hint)
    })?;
    let home = Home::create(&context.home)?;
    let made = match fill(&home, &config, &founded, now).await {
        Ok(made) => made,
        Err(error) => {
            leave_nothing(home.folder());
            return Err(error);
        }
    };
    context.output.print(&made, text);
    note(ADVICE);
    Ok(())
}

const ADVICE: &str = "\
Every role has one key, and one signature is enough (1-of-1): whoever holds this one laptop, with
offline/ and release/ on it, can put any model on any device. Carry both folders away, to a machine
or a stick that is not the controller's; `muster serve` needs neither of them. Releases are signed
where release/ is; offline/ is needed for the first release of each model, and to change keys, floors
or revocations.
Next: `muster serve`, then `muster enroll-token DEVICE` for each device.";

fn configured(args: Args) -> Result<Config, OperatorError> {
    let default = Config::default();
    let host_names = if args.hosts.is_empty() {
        default.host_names
    } else {
        args.hosts
    };
    let broker_listen = args.broker_listen.unwrap_or(default.broker_listen);
    let enroll_listen = args.enroll_listen.unwrap_or(default.enroll_listen);
    let config = Config {
        host_names,
        // The first fleet.json names these ports, so they cannot change with each start.
        broker_listen: settled("devices", broker_listen, args.broker_url.is_some())?,
        enroll_listen: settled("enrolment", enroll_listen, args.enroll_url.is_some())?,
        broker_url: args.broker_url,
        enroll_url: args.enroll_url,
        api_listen: args.api_listen.unwrap_or(default.api_listen),
        ..default
    };
    if config.api_listen.ip().is_loopback() {
        return Ok(config);
    }
    let because = format!("{} is not a loopback address", config.api_listen);
    let hint = "use 127.0.0.1 with a port, and ssh to reach the API from elsewhere";
    Err(OperatorError::new(
        Exit::Usage,
        "configure the API",
        because,
        hint,
    ))
}

/// An address with a port that does not change: for port 0 one that is free now, unless devices
/// are told another.
fn settled(what: &str, listen: SocketAddr, told: bool) -> Result<SocketAddr, OperatorError> {
    if listen.port() != 0 || told {
        return Ok(listen);
    }
    let found = TcpListener::bind(listen).and_then(|listener| listener.local_addr());
    found.map_err(|error| OperatorError::listen(what, listen, &error))
}

async fn fill(
    home: &Home,
    config: &Config,
    founded: &Founded,
    now: UnixSeconds,
) -> Result<Made, OperatorError> {
    write_certificates(home, founded)?;
    write_private(&home.api_token(), key_file::new_token()?.as_bytes())?;
    let keys = metadata::Keys::create(home)?;
    let documents = metadata::write(&keys, config, &founded.root_pem, now)?;
    let root = Digest::of(&documents.root);
    metadata::publish(home, documents).await?;
    write_private(&home.config_file(), config.to_toml().as_bytes())?;
    let ca = authority::Authority::load(home)?.root_digest();
    Ok(Made {
        home: home.folder().display().to_string(),
        root: root.to_string(),
        ca: ca.to_string(),
        host_names: config.host_names.clone(),
    })
}

fn write_certificates(home: &Home, founded: &Founded) -> Result<(), OperatorError> {
    let anchors = founded.anchors();
    for (path, text) in founded.files(home, &anchors) {
        write_private(&path, text.as_bytes())?;
    }
    Ok(())
}

/// The folder was empty or missing when we began, so all in it is ours.
fn leave_nothing(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        note(format_args!(
            "failed to remove the unfinished {}: {error}",
            folder.display()
        ));
    }
}

fn text(made: &Made) -> String {
    // Those that every server certificate carries come last, once.
    let named = made.host_names.iter().map(String::as_str);
    let named = named.filter(|name| !LOCAL_NAMES.contains(name));
    let hosts: Vec<_> = named.chain(LOCAL_NAMES).collect();
    let (home, root, ca, hosts) = (&made.home, &made.root, &made.ca, hosts.join(", "));
    format!("A new home is in {home}\nroot  {root}\nca    {ca}\nhosts {hosts}")
}

#[cfg(test)]
mod tests;

/// For tests: a home as `muster init` makes it.
#[cfg(test)]
pub(crate) async fn new_home(folder: &Path) -> Home {
    let founded = authority::found(&[], clock::now()).expect("certificates");
    let home = Home::create(folder).expect("an empty folder");
    fill(&home, &Config::default(), &founded, clock::now())
        .await
        .expect("a home");
    home
}
