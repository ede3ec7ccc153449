//! A wire between devices and the broker: counts what flows, can be cut, held, and made bad.
//!
//! Knows bytes only; TLS goes through it unread.

mod fault;
mod wire;

pub use fault::{Fault, Harm, Pace, Way};

use fault::Counts;
use std::collections::VecDeque;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;
use wire::Wire;

/// The wire. Ends with the process.
#[derive(Debug, Clone)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    to: Mutex<Option<SocketAddr>>,
    open: Mutex<Vec<Arc<Wire>>>,
    /// Bytes from the broker to devices.
    down: AtomicU64,
    /// Holds what comes from the broker once so many bytes have flowed.
    hold: Mutex<Option<u64>>,
    released: Condvar,
    /// What strikes the next connections, in their order.
    next: Mutex<VecDeque<Fault>>,
    pace: Mutex<Option<Pace>>,
    quickened: Condvar,
    counts: Counts,
}

impl Proxy {
    /// A wire that leads nowhere yet: connections are closed at once.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared::default());
        let proxy = Self {
            port,
            shared: Arc::clone(&shared),
        };
        thread::spawn(move || {
            listener
                .incoming()
                .flatten()
                .for_each(|near| connect(&shared, near))
        });
        proxy
    }

    /// Its port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads to `to` from now on.
    pub fn lead_to(&self, to: SocketAddr) {
        *self.shared.to.lock().expect("not poisoned") = Some(to);
    }

    /// Cuts every connection and takes no new ones.
    pub fn cut(&self) {
        *self.shared.to.lock().expect("not poisoned") = None;
        for wire in self.shared.open.lock().expect("not poisoned").drain(..) {
            wire.cut();
        }
    }

    /// Bytes that have flowed from the broker to devices.
    pub fn down_bytes(&self) -> u64 {
        self.shared.down.load(Ordering::Relaxed)
    }

    /// Lets about so many bytes flow from the broker to devices, counted from the wire's
    /// beginning, and holds what comes after them; `None` lets everything flow.
    pub fn hold_at(&self, bytes: Option<u64>) {
        *self.shared.hold.lock().expect("not poisoned") = bytes;
        self.shared.released.notify_all();
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        self.shared.open.lock().expect("not poisoned").len()
    }

    /// Gives each open connection a fault, whose bytes count from now on; how many there were.
    pub fn strike_open(&self, mut fault: impl FnMut(usize) -> Fault) -> usize {
        let open = self.shared.open.lock().expect("not poisoned");
        let each = open.iter().enumerate();
        each.for_each(|(n, wire)| wire.strike(fault(n)));
        open.len()
    }

    /// Gives the next connections a fault each, after those that wait for theirs already.
    pub fn strike_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared
            .next
            .lock()
            .expect("not poisoned")
            .extend(faults);
    }

    /// Faults that wait for a connection.
    pub fn waiting_faults(&self) -> usize {
        self.shared.next.lock().expect("not poisoned").len()
    }

    /// Makes everything slow; `None` makes it quick again, at once.
    pub fn slow_down(&self, pace: Option<Pace>) {
        *self.shared.pace.lock().expect("not poisoned") = pace;
        self.shared.quickened.notify_all();
    }

    /// How often something struck.
    pub fn harm(&self) -> Harm {
        self.shared.counts.read()
    }
}

impl Shared {
    fn pass(&self) {
        let beyond = |hold: &mut Option<u64>| {
            hold.is_some_and(|bytes| self.down.load(Ordering::Relaxed) >= bytes)
        };
        let hold = self.hold.lock().expect("not poisoned");
        drop(
            self.released
                .wait_while(hold, beyond)
                .expect("not poisoned"),
        );
    }

    fn pace(&self) -> Option<Pace> {
        *self.pace.lock().expect("not poisoned")
    }

    /// Passes some time, unless the wire's pace changes.
    fn idle(&self, time: Duration) {
        let pace = self.pace.lock().expect("not poisoned");
        let before = *pace;
        let same = |pace: &mut Option<Pace>| *pace == before;
        let passed = self.quickened.wait_timeout_while(pace, time, same);
        drop(passed.expect("not poisoned"));
    }

    /// Its connection has ended.
    fn forget(&self, wire: &Arc<Wire>) {
        let mut open = self.open.lock().expect("not poisoned");
        open.retain(|other| !Arc::ptr_eq(other, wire));
    }
}

fn connect(shared: &Arc<Shared>, near: TcpStream) {
    let Some(to) = *shared.to.lock().expect("not poisoned") else {
        return;
    };
    let fault = shared.next.lock().expect("not poisoned").pop_front();
    if fault == Some(Fault::BlackHole) {
        wire::count(&shared.counts.black_holes);
        let shared = Arc::clone(shared);
        thread::spawn(move || swallow(&shared, &near));
        return;
    }
    let Ok(far) = TcpStream::connect(to) else {
        return;
    };
    let wire = Arc::new(Wire::new(near, far, fault));
    let mut open = shared.open.lock().expect("not poisoned");
    open.push(Arc::clone(&wire));
    wire.carry(shared);
}

/// Takes everything until the device gives up.
fn swallow(shared: &Shared, mut near: &TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(len @ 1..) = near.read(&mut buffer) {
        let lost = len as u64;
        shared.counts.lost_bytes.fetch_add(lost, Ordering::Relaxed);
    }
}
