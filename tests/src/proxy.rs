//! A wire between devices and the broker: counts what flows, can be cut, and can be held.
//!
//! Knows bytes only; TLS goes through it unread.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// The wire. Ends with the process.
#[derive(Debug, Clone)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    to: Mutex<Option<SocketAddr>>,
    open: Mutex<Vec<TcpStream>>,
    /// Bytes from the broker to devices.
    down: AtomicU64,
    /// Holds what comes from the broker once so many bytes have flowed.
    hold: Mutex<Option<u64>>,
    released: Condvar,
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
        for stream in self.shared.open.lock().expect("not poisoned").drain(..) {
            // One that its ends have closed is cut already.
            let _ = stream.shutdown(Shutdown::Both);
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
}

fn connect(shared: &Arc<Shared>, near: TcpStream) {
    let to = *shared.to.lock().expect("not poisoned");
    let Some(far) = to.and_then(|to| TcpStream::connect(to).ok()) else {
        return;
    };
    let ends = || Some((near.try_clone().ok()?, far.try_clone().ok()?));
    let (Some(kept), Some((near_too, far_too))) = (ends(), ends()) else {
        return;
    };
    shared
        .open
        .lock()
        .expect("not poisoned")
        .extend([kept.0, kept.1]);
    let counted = Arc::clone(shared);
    thread::spawn(move || copy(&near, &far, |_| {}));
    thread::spawn(move || {
        copy(&far_too, &near_too, |bytes| {
            counted.pass();
            counted.down.fetch_add(bytes, Ordering::Relaxed);
        });
    });
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, count: impl Fn(u64)) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(len) = from.read(&mut buffer) {
        if len == 0 {
            break;
        }
        // Before it is passed on: what is held here has not arrived.
        count(len as u64);
        if to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    // The other direction ends with this one.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
