//! Power cuts at every operation on the disk, with the real supervisor on real files.
//!
//! A story is told once and everything that it asks of the disk is noted. Then the power is cut
//! at each operation, and the real program is started on each disk that such a cut may leave.
//! Workers are not started: what a trial or a worker says is put in its place, since only the
//! disk is under test here.

mod account;
mod day;
mod device;
mod fleet;
mod story;
mod update;
mod world;

mod tests;
