//! One file for each command that talks to the controller, or makes and runs one.
//!
//! Commands ask the API and show what it answers; only `init`, `serve`, `broker`, `backup` and
//! `restore` touch a home's keys.

pub(crate) mod alert;
pub(crate) mod apply;
pub(crate) mod backup;
pub(crate) mod broker;
pub(crate) mod device;
pub(crate) mod drift;
pub(crate) mod enroll_token;
pub(crate) mod enrolment;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod incident;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod quality;
pub(crate) mod receipt;
pub(crate) mod restore;
pub(crate) mod retrain;
pub(crate) mod rollout;
pub(crate) mod serve;
pub(crate) mod summary;
pub(crate) mod window;

mod by;
mod show;
mod span;
