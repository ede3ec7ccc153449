//! The machines of a device under any sequence of inputs: they return, and keep their bounds.

mod fetcher;
mod stream;
mod time;
mod updater;

use super::reader::Reader;

/// The first byte says which machine.
pub fn device_machines(data: &[u8]) {
    let mut input = Reader::new(data);
    match input.byte() % 5 {
        0 => fetcher::run(&mut input),
        1 => stream::run(&mut input),
        2 => time::run(&mut input),
        3 => updater::run(&mut input),
        _ => updater::boot(&mut input),
    }
}

/// Outputs that one input may cause at most, so that no machine talks without end.
const OUTPUTS_MAX: usize = 200;
