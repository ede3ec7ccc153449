//! Counts instructions with SysTick. QEMU with `-icount shift=0` takes one nanosecond of virtual
//! time for each, so counts are the same in every run. They are not cycles: silicon takes more.

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use muster_protocol::time::Millis;

/// The monotonic time of this boot.
pub type Now = Millis;

/// Nanoseconds of one tick: 25 MHz.
const TICK_NS: u32 = 40;
/// The counter has 24 bits: spans up to 0.67 s.
const RELOAD: u32 = 0x00ff_ffff;

/// The running counter.
pub struct Counter {
    timer: SYST,
    counted_ns: u64,
}

impl Counter {
    /// Starts it.
    pub fn start(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(RELOAD);
        timer.clear_current();
        timer.enable_counter();
        Self {
            timer,
            counted_ns: 0,
        }
    }

    /// Does it, and gives the instructions that it took, within one tick.
    pub fn count<T>(&mut self, it: impl FnOnce(Now) -> T) -> (T, u32) {
        let now = Millis(self.counted_ns / 1_000_000);
        // Reading tells whether it has wrapped since it was asked last.
        let _ = self.timer.has_wrapped();
        let before = SYST::get_current();
        let done = it(now);
        let ticks = before.wrapping_sub(SYST::get_current()) & RELOAD;
        let instructions = ticks * TICK_NS;
        self.counted_ns += u64::from(instructions);
        (done, instructions)
    }
}
