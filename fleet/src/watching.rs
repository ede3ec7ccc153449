//! The watch over windows: reads them in the order in which they were taken, lets charts judge them,
//! says what alarms and what that is found to be.
//!
//! Windows decide alone: what was said once is said again, bit for bit, by `replay`. Knows neither
//! SQL nor HTTP, and never whether anybody is told.

mod placing;
mod quality;
mod replay;
mod round;
mod run;
#[cfg(test)]
mod tests;

pub(crate) use replay::{Replayed, rebase, replay};
pub(crate) use round::Round;
pub(crate) use run::Sources;
