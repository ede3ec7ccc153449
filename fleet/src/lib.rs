//! The part of the controller that decides without a store, a broker or HTTP.
//!
//! A library so that the simulated world runs the same rules as the program; it has no effects
//! and links nothing that has.

pub mod compose;
pub mod gate;
