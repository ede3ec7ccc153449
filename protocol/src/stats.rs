//! What a device counts and a fleet judges: the same code on both ends, so that counts are
//! equal to the last bit.
//!
//! Floats come in, integers go out: no raw value leaves this module. `libm` only, never the
//! float functions of `std`, whose last bits differ between platforms.

pub mod class;
pub mod comparison;
pub mod critical;
pub mod difference;
pub mod feature;
pub mod labels;
pub mod latency;
mod scale;
pub mod score;
pub mod sum;

pub use comparison::{Comparison, Measures};
pub use critical::{Alarm, Block, Change, Kind, Limits, LocalWatch};
pub use difference::DifferenceFold;
pub use feature::{FeatureCounts, FeatureFold, Scale, Transform};
pub use labels::{LabelCounts, Outcome};
pub use latency::LatencyFold;
pub use score::{Score, ScoreCounts, ScoreScale};
pub use sum::FeatureSum;
