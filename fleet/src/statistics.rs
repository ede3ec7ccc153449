//! Statistics of counts: how far samples lie apart, how sure that is, and how long it may take to
//! be noticed.
//!
//! Pure: counts come in, numbers go out. Never knows devices, time or a store, and never judges:
//! a p of dependent samples is too small, whatever the test (`crate::watch` is for those).
//! Tail probabilities are those of `statrs`.

pub mod blocks;
pub mod kolmogorov;
pub mod moments;
pub mod multiplicity;
pub mod quality;
pub mod rates;
pub mod run_length;
pub mod two_sample;

mod chart;
pub(crate) mod exact;
#[cfg(test)]
mod extremes;
mod interval;
pub(crate) mod tail;
#[cfg(test)]
mod vectors;
mod wasserstein;

pub use chart::{Chart, OneSided, TwoSided};
pub use interval::{Confidence, Interval, wilson};
pub use moments::Moments;
pub use rates::Rate;
pub use wasserstein::{between_edges, between_points};

/// A statistic, and how often one that large is seen by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// The statistic.
    pub statistic: f64,
    /// Degrees of freedom of its distribution; infinite for the normal one.
    pub df: f64,
    /// How often the statistic is that far out if nothing differs and samples are independent.
    pub p: f64,
}
