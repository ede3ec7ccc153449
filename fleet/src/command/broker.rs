//! `muster broker`: the files that a broker on its own needs to serve the fleet.
//!
//! Starts no broker, and overwrites nothing but what it wrote itself and says so.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;

use crate::authority::Authority;
use crate::broker::{check_prefix, mosquitto};
use crate::cli::Context;
use crate::clock;
use crate::config::Config;
use crate::error::{Exit, OperatorError};
use crate::home::{self, Home};
use crate::output::{Table, note};

mod files;
mod server;

use files::{Fate, File, Files};

const WHAT: &str = "write the files of mosquitto";

/// Which broker.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write configuration, access rules, CAs, revocation list and certificate for mosquitto 2.
    Mosquitto(Args),
}

/// What mosquitto is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder for the files; made when it is missing.
    folder: PathBuf,
    /// A host name or address under which the broker is reached: makes its certificate. Without
    /// it, bring server.pem and server.key.
    #[arg(long = "host", value_name = "NAME|IP")]
    hosts: Vec<String>,
    /// Where it listens.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen, default_value_t = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8883)))]
    listen: SocketAddr,
    /// The user that mosquitto becomes when root starts it [default: its own].
    #[arg(long, value_name = "USER", value_parser = user)]
    run_as: Option<String>,
    /// Write files anew that are there and say something else.
    #[arg(long)]
    replace: bool,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Written {
    folder: String,
    files: Vec<WrittenFile>,
}

#[derive(Debug, Serialize)]
struct WrittenFile {
    file: &'static str,
    fate: Fate,
}

/// Runs it.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    let Command::Mosquitto(args) = command;
    let home = context.home()?;
    let config = Config::read(&home)?;
    check_prefix(&config.topic_prefix)?;
    let folder = absolute(&args.folder)?;
    check_outside(&folder, &home)?;
    let files = files(&args, &folder, &home, &config)?;
    let written = files.write(&folder, args.replace)?;
    let written = Written {
        folder: folder.display().to_string(),
        files: written
            .into_iter()
            .map(|(file, fate)| WrittenFile { file, fate })
            .collect(),
    };
    context.output.print(&written, text);
    note(next(&folder, &args));
    Ok(())
}

fn files(args: &Args, folder: &Path, home: &Home, config: &Config) -> Result<Files, OperatorError> {
    let (authority, now) = (Authority::load(home)?, clock::now());
    let failed = |error| {
        let hint = "name hosts as clients reach them, without scheme and port: broker.example";
        OperatorError::new(Exit::BadInput, WHAT, error, hint)
    };
    let revocations = match home.revocations_pem().exists() {
        true => home::read_text(&home.revocations_pem())?,
        // Nothing was served yet, so nothing was replaced.
        false => authority.revocations(&[], now).map_err(failed)?,
    };
    let conf = mosquitto::conf(folder, args.listen, args.run_as.as_deref());
    let mut all = vec![
        File::kept(mosquitto::CONF, conf),
        File::kept(mosquitto::ACL, mosquitto::acl(&config.topic_prefix)),
        File::kept(mosquitto::CA, home::read_text(&home.client_ca_pem())?),
        File::renewed(mosquitto::CRL, revocations),
    ];
    if !args.hosts.is_empty() && !server::serves(folder, &args.hosts, &authority, now) {
        let server = authority.issue_server(&args.hosts, now).map_err(failed)?;
        all.push(File::kept(mosquitto::SERVER, server.chain_pem));
        all.push(File::private(mosquitto::SERVER_KEY, server.key_pem));
    }
    Ok(Files(all))
}

fn absolute(folder: &Path) -> Result<PathBuf, OperatorError> {
    let failed = |error| OperatorError::file("find the folder", folder, &error);
    let absolute = std::path::absolute(folder).map_err(failed)?;
    let plain = absolute
        .to_str()
        .is_some_and(|text| !text.contains(char::is_control));
    if plain {
        return Ok(absolute);
    }
    let because = "mosquitto cannot be told its path";
    let hint = "use a folder whose path is plain text";
    Err(OperatorError::new(Exit::Usage, WHAT, because, hint))
}

/// What is in a home is the controller's alone: mosquitto's user must not reach into it, nor a
/// backup take what is the broker's.
fn check_outside(folder: &Path, home: &Home) -> Result<(), OperatorError> {
    let real = folder.ancestors().find_map(|path| path.canonicalize().ok());
    let home = home.folder().canonicalize().ok();
    match (real, home) {
        (Some(real), Some(home)) if real.starts_with(&home) => {
            let because = format!(
                "{} is inside the home, which holds keys that no broker may read",
                folder.display()
            );
            let hint = "name a folder outside it, such as /etc/mosquitto/muster";
            Err(OperatorError::new(Exit::Usage, WHAT, because, hint))
        }
        _ => Ok(()),
    }
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Ok(address),
        Ok(_) => Err("devices must know the port: give one from 1".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn user(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("it is not the name of a user".to_owned())
    }
}

fn text(written: &Written) -> String {
    let mut table = Table::new(&["file", "what was done"]);
    for WrittenFile { file, fate } in &written.files {
        table.row([*file, fate.words()]);
    }
    format!("{}\n{table}", written.folder)
}

fn next(folder: &Path, args: &Args) -> String {
    let (at, port) = (folder.display(), args.listen.port());
    let host = args.hosts.first().map_or("HOST", String::as_str);
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let url = format!("mqtts://{host}:{port}");
    let server = match args.hosts.is_empty() {
        true => "Bring server.pem and server.key: nothing was made without --host.\n",
        false => "",
    };
    format!(
        "{server}\
Next: make mosquitto's user the owner of {at}, start `mosquitto -c {at}/mosquitto.conf`,
write broker = [\"embedded\", \"{url}\"] into muster.toml, start `muster serve` again, and
send devices there with `muster fleet set --mqtt {url}`.
After devices enrolled anew: this command again, and SIGHUP to mosquitto."
    )
}

#[cfg(test)]
mod tests;
