//! What end-to-end tests stand on: the real programs, started and ended, and what they said.
//!
//! Links neither the model runtime nor the broker, and judges nothing: that is for scenarios.

pub mod browser;
pub mod bundles;
pub mod ceremony;
pub mod cli;
pub mod device;
pub mod disk;
pub mod document;
pub mod drift_cases;
pub mod drift_curves;
pub mod fake_clock;
pub mod fleet;
pub mod free_port;
pub mod http;
pub mod load;
pub mod mosquitto;
pub mod onnx;
pub mod power;
pub mod program;
pub mod proxy;
pub mod random;
pub mod raw_values;
pub mod recorder;
pub mod settings;
pub mod sim;
pub mod skip;
pub mod stories;
pub mod team;
pub mod wait;
