//! `muster`: the fleet's end, as one program: server (`muster serve`) and operator's commands.
//!
//! Only starts the command that was asked for and turns its error into an exit code. It never
//! decides anything about a device or a model.

mod addresses;
mod agree;
mod alert;
mod api;
mod authority;
mod backup;
mod blobs;
mod broker;
mod bundle;
mod ceremony;
mod cli;
mod client;
mod clock;
mod command;
mod config;
mod controller;
mod dispatch;
mod drift;
mod endpoint;
mod enroll;
mod error;
mod evidence;
#[cfg(test)]
#[path = "../../tests/src/free_port.rs"]
mod free_port;
mod home;
#[cfg(test)]
#[path = "../../protocol/tests/fixtures/hostile.rs"]
mod hostile;
mod ingest;
mod key_file;
mod output;
mod own_metadata;
mod publish;
#[cfg(test)]
#[path = "../../tests/src/random.rs"]
mod random;
mod release;
mod renew;
mod replace;
mod retraining;
mod rollout;
mod root;
mod serve;
mod signing;
#[cfg(test)]
mod skip;
mod standing;
mod stick;
mod store;
mod watching;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
