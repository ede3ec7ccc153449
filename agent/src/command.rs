//! The commands of `muster-agent`, one file each.
//!
//! They parse, call and print; what they do lies elsewhere.

pub mod check;
pub mod export;
pub mod feedback;
pub mod import;
pub mod models;
pub mod predict;
pub mod status;
pub mod verify;

use clap::ValueEnum;
use std::path::PathBuf;

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

/// Which agent of this machine.
#[derive(Debug, clap::Args)]
pub struct StateArgs {
    /// State folder.
    #[arg(long, env = "MUSTER_STATE", default_value = "/var/lib/muster")]
    pub state: PathBuf,
    /// Settings; without it STATE/agent.toml, or the defaults.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// How data is printed.
    #[arg(long, value_enum, default_value = "text")]
    pub output: Output,
}

impl StateArgs {
    /// Connects to the running agent.
    ///
    /// # Errors
    /// Settings, or no running agent.
    pub async fn connect(&self) -> Result<crate::local::Local, crate::error::Failure> {
        let config = crate::config::Config::load(self.config.as_deref(), &self.state)?;
        crate::local::Local::connect(&self.state, &config.socket).await
    }
}
