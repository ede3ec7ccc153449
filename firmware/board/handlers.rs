//! Where a processor ends that cannot go on: it says so, and the exit code is not zero.
//!
//! On a board without a debugger this would be a reset by the watchdog.

#![expect(unsafe_code, reason = "the vector table wants an unsafe function")]

use crate::semihosting::{self, Console};
use core::fmt::Write as _;
use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, exception};
use muster_firmware::verdict::Verdict;

#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Console, "{info}");
    end(Verdict::Panicked)
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    let _ = writeln!(Console, "hard fault at {:#010x}", frame.pc());
    end(Verdict::Faulted)
}

fn end(verdict: Verdict) -> ! {
    let _ = writeln!(Console, "verdict {verdict:?} {}", verdict.code());
    semihosting::exit(verdict.code())
}
