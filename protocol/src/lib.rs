//! What is said: the words, limits and documents that a device and its fleet share.
//!
//! Pure functions over bytes. This crate has no heap (but for the feature `alloc`, which adds
//! the JSON documents that a small node never reads), no clock, no socket, no file, no thread.
//!
//! A tour: [`id`] names things, [`limits`] bounds everything that comes from outside, [`topic`]
//! says where a message travels, [`message`] what it says, [`cbor`] how it is written and
//! [`cose`] how it is signed. [`bundle`] describes a packed model, [`stats`] the counts that a
//! device folds and a fleet judges. With `alloc`: [`tuf`] metadata, [`token`] of enrolment,
//! [`stick`] for what travels as files.

#![no_std]
// A wildcard over our own enums hides the next variant.
#![warn(clippy::wildcard_enum_match_arm)]
#[cfg(feature = "alloc")]
extern crate alloc;

pub mod bundle;
pub mod cbor;
pub mod cose;
pub mod digest;
pub mod id;
pub mod key;
pub mod limits;
pub mod message;
pub mod stats;
#[cfg(feature = "alloc")]
pub mod stick;
pub mod time;
#[cfg(feature = "alloc")]
pub mod token;
pub mod topic;
#[cfg(feature = "alloc")]
pub mod tuf;
