//! `muster enroll-token`: the one line that a person carries to a new device.
//!
//! Standard output carries the token and nothing else.

use muster_protocol::id::DeviceId;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::error::{Exit, OperatorError};

/// For whom, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The device that will be enrolled.
    device: DeviceId,
    /// Hours until the token expires.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=744))]
    ttl_h: u64,
}

/// Runs it.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), OperatorError> {
    let what = format!("make a token for {}", args.device);
    let wanted = json!({ "device": args.device.as_str(), "ttl_s": args.ttl_h * 3600 });
    let made = context
        .client()?
        .post(&what, "/api/v1/enroll-tokens", &wanted)
        .await?;
    let token = made.get("token").and_then(Value::as_str).ok_or_else(|| {
        OperatorError::new(Exit::Bug, &what, "the answer holds no token", "report it")
    })?;
    context.output.print(&made, |_| token.to_owned());
    Ok(())
}
