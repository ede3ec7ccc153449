//! Why the server does not listen, as the operator reads it.
//!
//! Never about a single request: that is a `Refusal`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A listener that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address that others can reach.
    #[error(
        "failed to listen on {address}: because it is not a loopback address: \
         hint: use 127.0.0.1:PORT or [::1]:PORT; to serve other machines, put a proxy that \
         authenticates in front"
    )]
    NotLoopback {
        /// The address as configured.
        address: SocketAddr,
    },
    /// Another program listens there.
    #[error(
        "failed to listen on {address}: because the port is in use: \
         hint: `ss -ltnp` shows by whom; stop that program or configure another port"
    )]
    PortInUse {
        /// The address as configured.
        address: SocketAddr,
    },
    /// Any other refusal of the system.
    #[error(
        "failed to listen on {address}: because {source}: \
         hint: is the address one of this machine's, and the port above 1023?"
    )]
    Tcp {
        /// The address as configured.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Another program answers on the unix socket.
    #[error(
        "failed to listen on {}: because another program listens there: \
         hint: is a second agent running? stop it or configure another path",
        path.display()
    )]
    SocketInUse {
        /// Path of the socket.
        path: PathBuf,
    },
    /// Something else has that name.
    #[error(
        "failed to listen on {}: because a file that is no socket is there: \
         hint: move it away or configure another path",
        path.display()
    )]
    NotASocket {
        /// Path of the file.
        path: PathBuf,
    },
    /// Other users could reach the socket.
    #[error(
        "failed to listen on {}: because other users may enter its folder (mode {mode:03o}): \
         hint: chmod 700 {}, or configure a path in a folder of its own",
        path.display(), folder.display()
    )]
    OpenFolder {
        /// Path of the socket.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
        /// Permission bits of the folder.
        mode: u32,
    },
    /// Any other refusal of the system.
    #[error(
        "failed to listen on {}: because {source}: \
         hint: the path must be shorter than 108 bytes, its folder writable",
        path.display()
    )]
    Socket {
        /// Path of the socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
