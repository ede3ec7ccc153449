//! Signing by several people who share nothing but a file: a proposal is made where the controller
//! is, carried from signer to signer, and published when enough of them have signed.
//!
//! A proposal holds what is wanted and the signatures, never the documents: everybody makes those
//! again from signed metadata and what is wanted, so that nobody signs what was slipped in. Only
//! [`gather()`] talks to the controller, and asks nothing but what a proposal builds on.

mod base;
mod command;
mod folder;
mod gather;
mod memory;
mod part;
mod proposal;
pub(crate) mod public_key;
mod release;
mod root;
mod show;
mod state;
#[cfg(test)]
mod tests;
mod wanted;

pub(crate) use base::{Base, Ground};
pub(crate) use command::{KeysArgs, Ready, SignArgs, propose, ready, shown, sign, sign_own, told};
pub(crate) use folder::{KeyFolder, KeyName, Named};
pub(crate) use gather::gather;
pub(crate) use proposal::Proposal;
pub(crate) use release::{LastBundle, NewRelease, Signers};
pub(crate) use root::NewRoot;
pub(crate) use wanted::{NewController, NewFleet, Wanted};
