//! A backup: one archive with everything that makes a controller, and its way back into a home.
//!
//! Holds secrets, and is as private as the home itself. Never overwrites anything, and nothing of
//! an archive is in place before all of it was verified. The format is for this program alone.

mod manifest;
mod members;
mod pack;
#[cfg(test)]
mod tests;
mod unpack;

pub(crate) use manifest::Manifest;
pub(crate) use members::OfflineKeys;
pub(crate) use pack::pack;
pub(crate) use unpack::{Restored, restore};
