//! Faults put into made-up fleets, and where `muster` says that they are (docs/drift-cases.md).
//!
//! A seed is a case. Values are counted as devices count, judged by the charts and placed by the rules
//! of the controller. Never judges by itself: every finding is theirs.

mod case;
mod fault;
mod fleet;
mod model;
pub mod real;
mod table;

pub use case::{Answer, Case, Learnt, Place};
pub use fault::Kind;
pub use table::{Line, Tally, lines};

/// Correlations of neighbouring samples that cases are made for.
pub const CORRELATIONS: [f64; 3] = [0.0, 0.5, 0.9];
/// Sizes below what is visible, for the curve.
pub const SIZES: [f64; 4] = [0.25, 0.5, 0.75, 1.0];
/// Windows after the beginning of a fault in which it has to be placed; it begins somewhere in
/// the first of them.
pub const WINDOWS: usize = 3;
