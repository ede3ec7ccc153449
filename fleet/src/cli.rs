//! The command line: what can be asked, and who answers it.
//!
//! Parsing and dispatch only; each command has its own file.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::client::Client;
use crate::command::{
    alert, apply, backup, broker, device, drift, enroll_token, enrolment, export, import, incident,
    init, keys, quality, receipt, restore, retrain, rollout, serve, summary, window,
};
use crate::error::{Exit, OperatorError};
use crate::home::Home;
use crate::output::{self, Output};
use crate::{bundle, ceremony, release, replace, root};

/// Bring models to a fleet of devices: signed, tried on each device, and watched afterwards.
#[derive(Debug, Parser)]
#[command(name = "muster", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    /// The controller's home.
    #[arg(
        long,
        global = true,
        env = "MUSTER_HOME",
        default_value = "./muster-home"
    )]
    home: PathBuf,
    /// The API of a running `muster serve`, http://127.0.0.1:PORT [default: that of the home].
    #[arg(long, global = true, value_name = "URL")]
    api: Option<String>,
    /// Form of the data on standard output.
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 a bug, 2 wrong usage, 3 bad input (model, bundle, \
configuration), 4 refused by a check (signature, policy), 5 not reachable (API, broker), \
6 resource (port in use, disk full, permission), 7 not found or conflict, \
8 not ended yet (wait)";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new home: keys, certificates, signed metadata, configuration.
    Init(init::Args),
    /// Run the controller: broker, enrolment and API.
    Serve,
    /// Write everything that makes the controller into one file, while it runs or not.
    Backup(backup::Args),
    /// Make a home from a backup; its devices are held until they have shown what they run.
    Restore(restore::Args),
    /// Replace the keys and the CA that the controller holds.
    #[command(subcommand)]
    Controller(replace::Command),
    /// Write what an external broker needs.
    #[command(subcommand)]
    Broker(broker::Command),
    /// Make, list, lock and export signing keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Show and change who signs for what.
    #[command(subcommand)]
    Root(root::Command),
    /// Show and change what fleet.json tells every device.
    #[command(subcommand)]
    Fleet(ceremony::Command),
    /// Make a single-use token with which one device enrols; prints only the token.
    EnrollToken(enroll_token::Args),
    /// The log of who enrolled with which keys.
    #[command(subcommand)]
    Enrolment(enrolment::Command),
    /// The devices of the fleet and their labels.
    #[command(subcommand)]
    Device(device::Command),
    /// Roll a release out in rings, by the policy of a file.
    Apply(apply::Args),
    /// Roll a release out to devices; look at rollouts, and tell them what to do.
    #[command(subcommand)]
    Rollout(rollout::Command),
    /// Telemetry windows.
    #[command(subcommand)]
    Window(window::Command),
    /// Signed reports of what devices did.
    #[command(subcommand, visible_alias = "receipts")]
    Receipt(receipt::Command),
    /// What a person must look at, and what they make of it.
    #[command(subcommand)]
    Incident(incident::Command),
    /// What was sent to webhooks.
    #[command(subcommand)]
    Alert(alert::Command),
    /// How far features lie from the reference of their bundle: measures, not verdicts; and the
    /// rules by which incidents are judged.
    Drift(Box<drift::Args>),
    /// How well classifiers do: estimated without labels, measured with them.
    Quality(quality::Args),
    /// Signed requests for a retrain, for a pipeline to pick up.
    #[command(subcommand)]
    Retrain(retrain::Command),
    /// Each device with its models, predictions and windows.
    Summary,
    /// Write to a stick what devices without a network need.
    Export(export::Args),
    /// Take in what devices have put on a stick.
    Import(import::Args),
    /// Sign a bundle and publish it as a release, alone or step by step with others.
    Release(release::Command),
    /// Pack models.
    #[command(subcommand)]
    Bundle(bundle::Command),
}

/// How long reading that goes on when a command has ended may keep the program.
const LAST_READS: Duration = Duration::from_secs(5);

/// What every command is given.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// The folder of the home, which need not exist.
    pub(crate) home: PathBuf,
    /// The API that was named.
    pub(crate) api: Option<String>,
    /// Form of the data.
    pub(crate) output: Output,
}

impl Context {
    /// The home.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn home(&self) -> Result<Home, OperatorError> {
        Home::open(&self.home)
    }

    /// The API of the home.
    ///
    /// # Errors
    /// See [`Client::open`].
    pub(crate) fn client(&self) -> Result<Client, OperatorError> {
        Client::open(&self.home()?, self.api.as_deref())
    }
}

/// Runs the command of the process's arguments.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(&cli.command);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&error);
            ExitCode::from(error.exit as u8)
        }
    }
}

fn run(cli: Cli) -> Result<(), OperatorError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        let hint = "allow this user more threads and open files";
        OperatorError::new(Exit::Resource, "start the program", error, hint)
    })?;
    let context = Context {
        home: cli.home,
        api: cli.api,
        output: cli.output,
    };
    let ended = runtime.block_on(dispatch(cli.command, &context));
    // Whoever only reads, for minutes maybe, does not keep the program.
    runtime.shutdown_timeout(LAST_READS);
    ended
}

async fn dispatch(command: Command, context: &Context) -> Result<(), OperatorError> {
    match command {
        Command::Init(args) => init::run(args, context).await,
        Command::Serve => serve::run(context).await,
        Command::Backup(args) => backup::run(args, context).await,
        Command::Restore(args) => restore::run(args, context).await,
        Command::Controller(command) => replace::run(command, context).await,
        Command::Broker(command) => broker::run(command, context),
        Command::Keys(command) => keys::run(command, context),
        Command::Root(command) => root::run(command, context).await,
        Command::Fleet(command) => ceremony::run(command, context).await,
        Command::EnrollToken(args) => enroll_token::run(args, context).await,
        Command::Enrolment(command) => enrolment::run(command, context).await,
        Command::Device(command) => device::run(command, context).await,
        Command::Apply(args) => apply::run(args, context).await,
        Command::Rollout(command) => rollout::run(command, context).await,
        Command::Window(command) => window::run(command, context).await,
        Command::Receipt(command) => receipt::run(command, context).await,
        Command::Incident(command) => incident::run(command, context).await,
        Command::Alert(command) => alert::run(command, context).await,
        Command::Retrain(command) => retrain::run(command, context).await,
        Command::Drift(args) => drift::run(*args, context).await,
        Command::Quality(args) => quality::run(args, context).await,
        Command::Summary => summary::run(context).await,
        Command::Export(args) => export::run(args, context).await,
        Command::Import(args) => import::run(args, context).await,
        Command::Release(command) => release::run(command, context).await,
        Command::Bundle(command) => bundle::run(command, context).await,
    }
}

/// To standard error; `MUSTER_LOG` chooses what, as in `MUSTER_LOG=muster=debug`.
fn start_log(command: &Command) {
    let quiet = if matches!(command, Command::Serve) {
        // The broker's library tells each refusal three times.
        "info,rmqtt=warn,rmqtt_net=warn"
    } else {
        "warn"
    };
    let filter = EnvFilter::try_from_env("MUSTER_LOG").unwrap_or_else(|_| EnvFilter::new(quiet));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // It would be told to standard error, which is gone: a panic.
        .log_internal_errors(false)
        .init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_are_understood_or_refused() {
        for (line, expect) in [
            ("muster init", true),
            ("muster init --host fleet.example --host 10.0.0.7", true),
            ("muster --home /tmp/h serve", true),
            ("muster serve --home /tmp/h", true),
            ("muster broker mosquitto ./dir --host broker.example", true),
            ("muster broker mosquitto", false),
            ("muster broker mosquitto ./dir --listen 8883", false),
            ("muster fleet show", true),
            ("muster fleet set", false),
            ("muster fleet set --yes", false),
            (
                "muster fleet set --mqtt mqtts://broker.example:8883 --yes",
                true,
            ),
            ("muster fleet set --mqtt mqtt://broker.example:1883", false),
            ("muster fleet set --mqtt mqtts://broker.example:0", false),
            ("muster fleet set --enroll http://fleet.example", false),
            ("muster fleet set --add-ca a.pem --add-ca b.pem", true),
            ("muster fleet set --remove-ca 07", false),
            ("muster enroll-token press-07 --ttl-h 1", true),
            ("muster enroll-token Press-07", false),
            ("muster enroll-token press-07 --ttl-h 0", false),
            ("muster device list --output json", true),
            ("muster device list --output xml", false),
            ("muster device label press-07 site=a line=2", true),
            ("muster device label press-07 site", false),
            ("muster device unassign press-07 bearing", true),
            ("muster device unassign press-07", false),
            ("muster device release-hold press-07 --yes", true),
            ("muster device revoke press-07", true),
            ("muster keys create alice --keys ./k", true),
            ("muster keys create Alice", false),
            (
                "muster root rotate --add root=a.pub --threshold root=2 --out f",
                true,
            ),
            ("muster root rotate --add a.pub", false),
            ("muster root sign f --trust-root 07", false),
            (
                "muster release propose ./bundle --signer a.pub --threshold 1",
                true,
            ),
            ("muster release propose ./bundle --signer a.pub", false),
            ("muster release sign f --key alice", true),
            ("muster release publish f ./bundle", true),
            (
                "muster fleet set --mqtt mqtts://a:1 --propose f --yes",
                false,
            ),
            ("muster restore /tmp/b --stolen --offline ./offline", true),
            ("muster backup /tmp/b --with-offline-keys", true),
            ("muster backup", false),
            ("muster restore /tmp/b --home /tmp/h", true),
            (
                "muster rollout create --model m --version 1.0.0 --yes",
                true,
            ),
            (
                "muster rollout create --model m --version 1.0.0 --percent 10 --dry-run",
                true,
            ),
            (
                "muster rollout create --model m --version 1.0.0 --percent 0",
                false,
            ),
            (
                "muster rollout create --model m --version 1.0.0 --percent 101",
                false,
            ),
            ("muster rollout create --model m --version v1", false),
            ("muster rollout create --model m", false),
            ("muster rollout show 1", true),
            ("muster window list --device press-07 --model m", true),
            ("muster receipt list", true),
            ("muster receipt export --out r --model m --since 7d", true),
            ("muster receipt export", false),
            ("muster receipts verify r --log l --complete", true),
            ("muster receipt verify r", false),
            ("muster enrolment export --out l --after earlier", true),
            ("muster enrolment export", false),
            ("muster incident list --device press-07", true),
            ("muster incident list --open --cause real_drift", true),
            ("muster incident list --cause sad", false),
            ("muster incident show 7", true),
            ("muster incident ack 7 --reason looking", true),
            ("muster incident confirm 7", false),
            ("muster incident dismiss seven --reason no", false),
            (
                "muster incident silence --cause stuck --for 7d --reason x",
                true,
            ),
            ("muster incident silence --cause stuck --reason x", false),
            ("muster incident silences", true),
            ("muster incident unsilence 1 --reason x", true),
            ("muster alert list --state given_up", true),
            ("muster alert list --state lost", false),
            ("muster alert replay 3 --reason x", true),
            ("muster alert replay --since 2d --reason x", true),
            ("muster alert replay --reason x", false),
            ("muster alert replay 3 --since 2d --reason x", false),
            ("muster alert test ops", true),
            ("muster retrain list --state requested", true),
            ("muster retrain export 1 --out f", true),
            ("muster retrain verify f --fleet fleet.json", true),
            ("muster retrain pick-up 1 --reason x", true),
            ("muster retrain done 1", false),
            ("muster drift rules apply rules.toml --reason x", true),
            ("muster drift rules apply rules.toml", false),
            ("muster drift rules show 3", true),
            ("muster drift kpis --since 7d", true),
            ("muster drift kpis --model m", false),
            ("muster drift --model m", true),
            (
                "muster drift --model m --version 1.0.0 --device press-07 --since 7d",
                true,
            ),
            ("muster drift", false),
            ("muster drift charts --model m --device press-07", true),
            ("muster drift charts", false),
            ("muster drift quality --model m", true),
            ("muster drift quality", false),
            ("muster drift alarms", true),
            ("muster drift recompute", true),
            ("muster drift recompute --model m", false),
            ("muster drift rebaseline --model m --reason new", true),
            ("muster drift rebaseline --model m", false),
            ("muster drift --model m alarms", false),
            ("muster quality m", true),
            ("muster quality m --device press-07 --since 7d", true),
            ("muster quality", false),
            ("muster drift --model m --since 1w", false),
            ("muster export --device press-07 --out stick", true),
            (
                "muster export --device press-07 --device press-08 --out stick",
                true,
            ),
            ("muster export --out stick", false),
            ("muster export --device press-07", false),
            ("muster import stick", true),
            ("muster import", false),
            ("muster summary", true),
            ("muster release ./bundle --yes", true),
            ("muster release", false),
            ("muster bundle verify ./bundle", true),
            ("muster", false),
        ] {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert_eq!(parsed.is_ok(), expect, "{line}");
        }
    }
}
