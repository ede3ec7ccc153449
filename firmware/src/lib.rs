//! A device on a microcontroller: the machines of `muster-device`, fed by a thin loop.
//!
//! The same judgement and the same counts as on Linux, from the same code, without a heap. Knows
//! no board: bytes and time come in, verdicts go out; what is wired to a board lies in `board/`.
//!
//! [`node`] is the device, [`task`] what it may be asked to do, [`counting`] its window, [`light`]
//! what a person beside it sees, [`verdict`] how it ends.

#![no_std]
// A wildcard over our own enums hides the next variant.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod counting;
pub mod light;
pub mod node;
pub mod task;
pub mod verdict;
