//! The part of the controller that decides without a store, a broker or HTTP.
//!
//! A library so that the simulated world runs the same rules as the program; it has no effects
//! and links nothing that has.

pub mod compose;
pub mod finding;
pub mod gate;
#[cfg(test)]
#[path = "../../protocol/tests/fixtures/hostile.rs"]
mod hostile;
pub mod incident;
pub mod place;
pub mod planner;
pub mod quality;
#[cfg(test)]
#[path = "../../tests/src/random.rs"]
mod random;
pub mod ring_evidence;
pub mod selector;
#[cfg(test)]
mod skip;
pub mod statistics;
mod text;
pub mod watch;
