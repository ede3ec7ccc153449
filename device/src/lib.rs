//! How a device behaves: pure machines without a heap, spoken to by thin loops.
//!
//! No clock, no socket, no file, no thread, no global state: time is an argument, randomness a
//! seed, disk a conversation (an output asks, a later input answers). Every machine has the
//! verbs `handle(input, …, now)`, `poll_output()` and `poll_timeout()`, which says why; after
//! every call of `handle` a host drains `poll_output` before it does anything else.
//!
//! [`acceptance`] judges assignments, one [`updater`] per model and role brings a release from
//! offered to committed, one [`fetcher`] asks for its pieces, [`stream`] numbers documents and waits
//! for their acknowledgement, [`fold`] counts predictions, [`comparison`] those of a shadow beside
//! what serves, [`scores`] those of a classifier with the labels that come for them,
//! [`trusted_time`] says what time it is.
//! [`facts`] say whom a device believes; on a small node they come from [`key_sets`].

#![no_std]
// A wildcard over our own enums hides the next variant.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod acceptance;
pub mod backoff;
pub mod comparison;
pub mod facts;
pub mod fetcher;
pub mod fold;
pub mod key_sets;
pub mod scores;
pub mod stream;
pub mod trusted_time;
pub mod updater;
