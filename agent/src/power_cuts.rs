//! Of the tests: what a power cut may leave of a disk, at every operation of a recording.
//!
//! A model of what POSIX promises, no more: a file is durable once it was synced, a name once its
//! folder was, and whatever was not synced may be there or not, in any combination. Never knows
//! what the files mean: that is asked of the real program, booted on each disk.

pub mod cut;
pub mod enumeration;
pub mod files;
pub mod folder;
pub mod page;
pub mod planted;
pub mod relied;
pub mod tally;
mod tests;
