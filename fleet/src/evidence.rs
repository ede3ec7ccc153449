//! Receipts as evidence: what an operator keeps elsewhere, and how it is judged there.
//!
//! Needs no home, no controller and no network, and trusts none of them: only the enrolment log
//! that it is given. Never says whether what a device reports is true, only that it said so.

mod judge;
mod lines;
mod log;
mod receipts;
#[cfg(test)]
mod sample;
mod streams;

pub(crate) use judge::{Judge, Judged};
pub(crate) use log::{Conflict, Enrolled, Enrolment, EnrolmentLog, public_key};
pub(crate) use receipts::{each_receipt, line_of};
pub(crate) use streams::StreamSeen;
