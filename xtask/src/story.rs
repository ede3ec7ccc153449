//! The default story of the demo: realistic vibration of a machine with four bearings, made here.
//! Same seed, same rows, on every machine. Never reads a file, a clock or a source of randomness.

mod channel;
mod defect;
mod drift;
mod export;
mod machine;
mod rng;

pub(crate) use defect::Fault;
pub(crate) use export::{COLUMNS, export_training_data};
pub(crate) use machine::Machine;

/// One interval: mean absolute vibration in g of bearings 1 to 4.
pub(crate) type Row = [f32; BEARINGS];

/// Bearings of a machine, each with one accelerometer.
pub(crate) const BEARINGS: usize = 4;
