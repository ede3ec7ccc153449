//! The first lamp of the board: bit 0 of the FPGA's register for lamps.

#![expect(unsafe_code, reason = "a register is an address")]

use core::convert::Infallible;
use embedded_hal::digital::{ErrorType, OutputPin};

/// `LED0` of the FPGA system control and I/O block.
const REGISTER: *mut u32 = 0x4002_8000 as *mut u32;

/// The lamp. There is one, and one thread that switches it.
pub struct Lamp;

impl Lamp {
    /// What the register says.
    pub fn is_on(&self) -> bool {
        // SAFETY: the register exists on this board and reading it changes nothing.
        unsafe { REGISTER.read_volatile() & 1 == 1 }
    }

    fn set(&mut self, bit: u32) {
        // SAFETY: the register exists on this board and drives lamps alone.
        unsafe { REGISTER.write_volatile(bit) }
    }
}

impl ErrorType for Lamp {
    type Error = Infallible;
}

impl OutputPin for Lamp {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.set(0);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.set(1);
        Ok(())
    }
}
