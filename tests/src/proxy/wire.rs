//! One connection through the proxy: bytes go from one end to the other, as its fault allows.
//!
//! Keeps each socket once, so that closing it says to the other side what the fault wants said.

use super::Shared;
use super::fault::{Counts, Fault, Pace, Passes, Way};
use rustix::net::sockopt;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Bytes of one write on a wire that is slow.
const SLOW_BYTES: usize = 1024;

/// Both ends of a connection.
#[derive(Debug)]
pub(super) struct Wire {
    near: TcpStream,
    far: TcpStream,
    fault: Mutex<Option<Fault>>,
    /// Its fault was counted.
    struck: AtomicBool,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goes {
    On,
    Nowhere,
}

impl Wire {
    pub(super) const fn new(near: TcpStream, far: TcpStream, fault: Option<Fault>) -> Self {
        Self {
            near,
            far,
            fault: Mutex::new(fault),
            struck: AtomicBool::new(false),
        }
    }

    /// Another fault from now on; its bytes count from here.
    pub(super) fn strike(&self, fault: Fault) {
        *self.fault.lock().expect("not poisoned") = Some(fault);
        self.struck.store(false, Ordering::Relaxed);
    }

    /// Ends both directions.
    pub(super) fn cut(&self) {
        // One that its ends have closed is cut already.
        let _ = self.near.shutdown(Shutdown::Both);
        let _ = self.far.shutdown(Shutdown::Both);
    }

    /// Both ends hear a reset once the last who holds this lets go of it.
    fn reset(&self) {
        for end in [&self.near, &self.far] {
            sockopt::set_socket_linger(end, Some(Duration::ZERO)).expect("an open socket");
            // Wakes whoever reads here, and tells the other side nothing.
            let _ = end.shutdown(Shutdown::Read);
        }
    }

    /// Copies in both directions, in threads of its own, until one ends.
    pub(super) fn carry(self: &Arc<Self>, shared: &Arc<Shared>) {
        for way in [Way::Up, Way::Down] {
            let (wire, shared) = (Arc::clone(self), Arc::clone(shared));
            thread::spawn(move || {
                wire.copy(way, &shared);
                shared.forget(&wire);
            });
        }
    }

    fn copy(&self, way: Way, shared: &Shared) {
        let (mut from, to) = match way {
            Way::Up => (&self.near, &self.far),
            Way::Down => (&self.far, &self.near),
        };
        let mut buffer = [0; 16 * 1024];
        while let Ok(len) = from.read(&mut buffer) {
            if len == 0 {
                break;
            }
            if way == Way::Down {
                // Before it is passed on: what is held here has not arrived.
                shared.pass();
                shared.down.fetch_add(len as u64, Ordering::Relaxed);
            }
            if self.pass(way, to, &buffer[..len], shared) == Goes::Nowhere {
                break;
            }
        }
        // The other direction ends with this one; a farewell would take the place of a reset.
        match self.fault() {
            Some(Fault::Reset(_, 0)) => self.reset(),
            _ => self.cut(),
        }
    }

    fn fault(&self) -> Option<Fault> {
        *self.fault.lock().expect("not poisoned")
    }

    fn pass(&self, way: Way, to: &TcpStream, bytes: &[u8], shared: &Shared) -> Goes {
        let met = {
            let mut fault = self.fault.lock().expect("not poisoned");
            fault.as_mut().map(|fault| fault.meet(way, bytes.len()))
        };
        match met {
            None | Some(Passes::All) => self.write(to, bytes, shared),
            Some(Passes::Loses(passes)) => {
                self.count(&shared.counts);
                let lost = (bytes.len() - passes) as u64;
                shared.counts.lost_bytes.fetch_add(lost, Ordering::Relaxed);
                self.write(to, &bytes[..passes], shared)
            }
            Some(Passes::Then(passes)) => {
                self.write(to, &bytes[..passes], shared);
                self.count(&shared.counts);
                Goes::Nowhere
            }
        }
    }

    fn write(&self, mut to: &TcpStream, bytes: &[u8], shared: &Shared) -> Goes {
        let (pace, size) = match self.fault() {
            Some(Fault::Trickle(bytes_per_s)) => {
                self.count(&shared.counts);
                (
                    Some(Pace {
                        delay_ms: 0,
                        bytes_per_s,
                    }),
                    1,
                )
            }
            _ => (shared.pace(), SLOW_BYTES),
        };
        let Some(pace) = pace else {
            return goes(to.write_all(bytes));
        };
        shared.idle(Duration::from_millis(pace.delay_ms));
        for chunk in bytes.chunks(size) {
            let bytes = chunk.len() as u64;
            shared.idle(Duration::from_micros(bytes * 1_000_000 / pace.bytes_per_s));
            shared.counts.slow_bytes.fetch_add(bytes, Ordering::Relaxed);
            if to.write_all(chunk).is_err() {
                return Goes::Nowhere;
            }
        }
        Goes::On
    }

    /// Counts its fault, once.
    fn count(&self, counts: &Counts) {
        if self.struck.swap(true, Ordering::Relaxed) {
            return;
        }
        let counter = match self.fault() {
            Some(Fault::Cut(..)) => &counts.cuts,
            Some(Fault::Reset(..)) => &counts.resets,
            Some(Fault::Stall(..)) => &counts.stalls,
            Some(Fault::Trickle(_)) => &counts.trickles,
            Some(Fault::BlackHole) => &counts.black_holes,
            None => return,
        };
        count(counter);
    }
}

fn goes(written: std::io::Result<()>) -> Goes {
    match written {
        Ok(()) => Goes::On,
        Err(_) => Goes::Nowhere,
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
