//! A port of loopback that stays free for a program of the test's choice, also between two starts.
//!
//! Never listens. A port that is looked up and let go can be another test's a moment later, as
//! a listener's or as a client's own end.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

/// Keeps the kernel from giving the port to anyone who asks for any port, as long as it lives.
/// Who names the port may listen there: listeners here all allow their address to be reused.
#[derive(Debug)]
pub struct FreePort {
    _held: OwnedFd,
    address: SocketAddr,
}

impl FreePort {
    /// Any one.
    ///
    /// # Panics
    /// When there is none.
    pub fn take() -> Self {
        let (family, stream) = (AddressFamily::INET, SocketType::STREAM);
        let held = net::socket_with(family, stream, SocketFlags::CLOEXEC, None).expect("a socket");
        sockopt::set_socket_reuseaddr(&held, true).expect("a socket has that option");
        net::bind(&held, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let address = net::getsockname(&held).expect("it is bound");
        Self {
            _held: held,
            address: address.try_into().expect("it is bound to IPv4"),
        }
    }

    /// Where a program may listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port of [`Self::address`].
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn one_listener_after_another_gets_it() {
        let port = FreePort::take();
        assert!(TcpStream::connect(port.address()).is_err());
        for _ in 0..2 {
            let listener = TcpListener::bind(port.address()).expect("it is free");
            assert!(TcpListener::bind(port.address()).is_err(), "it is in use");
            let _client = TcpStream::connect(port.address()).expect("somebody listens");
            let _server = listener.accept().expect("a client came");
        }
    }

    #[test]
    fn nobody_gets_it_by_chance() {
        let port = FreePort::take();
        let others: Vec<_> = (0..512).map(|_| FreePort::take()).collect();
        assert!(others.iter().all(|other| other.port() != port.port()));
    }
}
