//! Breaks as its command line says, so that a test sees what the handlers report.
//!
//! Shares the handlers of the image, and nothing else.

#![no_std]
#![no_main]

mod handlers;
mod semihosting;

use muster_firmware::verdict::Verdict;

#[cortex_m_rt::entry]
fn main() -> ! {
    let mut line = [0; 32];
    match semihosting::command_line(&mut line) {
        Some("panic") => panic!("asked to"),
        Some("fault") => cortex_m::asm::udf(),
        _ => semihosting::exit(Verdict::Usage.code()),
    }
}
