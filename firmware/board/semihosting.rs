//! Talking to the debugger, which QEMU plays: command line, files, lines of text, exit code.
//!
//! A board in the field has a serial link here. Numbers are those of Arm's specification
//! "Semihosting for AArch32 and AArch64", section 6.

#![allow(dead_code, reason = "the broken image reads no files")]
#![expect(
    unsafe_code,
    reason = "the debugger reads and writes where it is told to"
)]

use core::fmt;
use cortex_m::asm::semihosting_syscall;

const SYS_OPEN: u32 = 0x01;
const SYS_CLOSE: u32 = 0x02;
const SYS_WRITE0: u32 = 0x04;
const SYS_READ: u32 = 0x06;
const SYS_GET_CMDLINE: u32 = 0x15;
const SYS_EXIT_EXTENDED: u32 = 0x20;

/// `ADP_Stopped_ApplicationExit`.
const APPLICATION_EXIT: u32 = 0x2_0026;
/// `rb`.
const READ_BINARY: u32 = 1;
/// Longest path.
const PATH_BYTES_MAX: usize = 128;

/// Asks for `operation` with a block of parameters, and gives what came back. Addresses in the
/// block are those of buffers that outlive the call and are as long as the block says.
fn ask(operation: u32, block: &mut [u32]) -> u32 {
    let block = address(block.as_mut_ptr());
    // SAFETY: the specification's operations touch only what their block names.
    unsafe { semihosting_syscall(operation, block) }
}

/// An address as the debugger wants it; memory is reached through it, hence exposed.
fn address<T>(pointer: *mut T) -> u32 {
    pointer.expose_provenance() as u32
}

/// The words after the name of the image.
pub fn command_line(buffer: &mut [u8]) -> Option<&str> {
    let mut block = [address(buffer.as_mut_ptr()), buffer.len() as u32];
    if ask(SYS_GET_CMDLINE, &mut block) != 0 {
        return None;
    }
    let len = buffer.iter().position(|byte| *byte == 0)?;
    core::str::from_utf8(&buffer[..len]).ok()
}

/// Ends the machine.
pub fn exit(code: u8) -> ! {
    ask(SYS_EXIT_EXTENDED, &mut [APPLICATION_EXIT, u32::from(code)]);
    // Without a debugger there is nobody to end for.
    loop {
        cortex_m::asm::wfi();
    }
}

/// A file of the host, open for reading.
pub struct File(u32);

impl File {
    /// Opens it.
    pub fn open(path: &str) -> Option<Self> {
        let mut name = [0; PATH_BYTES_MAX];
        // One byte stays zero.
        let room = name
            .get_mut(..path.len())
            .filter(|room| room.len() < PATH_BYTES_MAX)?;
        room.copy_from_slice(path.as_bytes());
        let mut block = [address(name.as_mut_ptr()), READ_BINARY, path.len() as u32];
        let handle = ask(SYS_OPEN, &mut block);
        (handle != u32::MAX).then_some(Self(handle))
    }

    /// Reads until the buffer is full or the file ends; gives how much.
    pub fn read(&self, buffer: &mut [u8]) -> usize {
        let len = buffer.len();
        let mut block = [self.0, address(buffer.as_mut_ptr()), len as u32];
        let left = ask(SYS_READ, &mut block) as usize;
        len.saturating_sub(left)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        ask(SYS_CLOSE, &mut [self.0]);
    }
}

/// Where lines for people go.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.as_bytes().chunks(63) {
            let mut line = [0; 64];
            line[..part.len()].copy_from_slice(part);
            // SAFETY: a text that ends with a zero.
            unsafe { semihosting_syscall(SYS_WRITE0, address(line.as_mut_ptr())) };
        }
        Ok(())
    }
}
