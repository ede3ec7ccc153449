//! A wire between devices and the broker: counts what flows, and can be cut.
//!
//! Knows bytes only; TLS goes through it unread.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
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
    connections: AtomicU64,
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

    /// Connections that reached the broker.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

fn connect(shared: &Arc<Shared>, near: TcpStream) {
    let to = *shared.to.lock().expect("not poisoned");
    let Some(far) = to.and_then(|to| TcpStream::connect(to).ok()) else {
        return;
    };
    shared.connections.fetch_add(1, Ordering::Relaxed);
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
            counted.down.fetch_add(bytes, Ordering::Relaxed);
        });
    });
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, count: impl Fn(u64)) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(len) = from.read(&mut buffer) {
        if len == 0 || to.write_all(&buffer[..len]).is_err() {
            break;
        }
        count(len as u64);
    }
    // The other direction ends with this one.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
