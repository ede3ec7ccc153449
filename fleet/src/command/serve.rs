//! `muster serve`: runs the controller of a home until it is told to stop.

use crate::cli::Context;
use crate::config::Config;
use crate::error::OperatorError;

/// Runs it.
pub(crate) async fn run(context: &Context) -> Result<(), OperatorError> {
    let home = context.home()?;
    let config = Config::read(&home)?;
    crate::serve::run(config, home).await
}
