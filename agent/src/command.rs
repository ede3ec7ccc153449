//! The subcommands of `muster-agent`, one file each.
//!
//! Never the work itself: a command parses, calls, prints, and chooses an exit code.

pub mod check;
