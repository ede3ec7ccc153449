//! How deep the stack ever was: memory was painted before `main`, and what is painted still was
//! never used.

#![expect(unsafe_code, reason = "unused memory is nobody's object")]

use core::ptr;

/// What the start-up code paints with.
const PAINT: u32 = cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    /// Lowest address of the stack.
    static _stack_end: u32;
    /// Address above its highest.
    static _stack_start: u32;
}

/// Bytes of stack that were ever in use.
pub fn used_bytes() -> usize {
    let (mut at, top) = (&raw const _stack_end, &raw const _stack_start);
    // SAFETY: between the two lies memory of this program, aligned to words; below the current
    // stack nobody writes.
    while at < top && unsafe { ptr::read_volatile(at) } == PAINT {
        at = at.wrapping_add(1);
    }
    top.addr() - at.addr()
}
