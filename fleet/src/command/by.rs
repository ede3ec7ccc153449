//! By whom, and why: what every decision about incidents is asked for.

use serde_json::{Value, json};

/// A person and their reason.
#[derive(Debug, clap::Args)]
pub(crate) struct By {
    /// Why: it is kept with the decision.
    #[arg(long)]
    reason: String,
    /// By whom.
    #[arg(long, env = "USER", default_value = "operator", value_name = "NAME")]
    by: String,
}

impl By {
    /// The body that says so.
    pub(super) fn body(&self) -> Value {
        json!({ "operator": self.by, "reason": self.reason })
    }
}
