//! The way from the MQTT client to the broker: a local socket on one end, TLS on the other.
//!
//! Never reads what passes. Whoever opens the local socket would speak as the fleet: it lies in a
//! folder for its owner only, takes one connection, of this process, and then is gone.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio_rustls::client::TlsStream;

const SOCKET: &str = "s";

/// A socket that waits for the MQTT client.
pub(super) struct Tunnel {
    listener: UnixListener,
    folder: PathBuf,
}

impl Tunnel {
    /// Opens the local end in `folder`, which is made anew.
    ///
    /// # Errors
    /// The folder cannot be made, or its path is too long for a socket (107 bytes).
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        remove(folder)?;
        DirBuilder::new().mode(0o700).create(folder)?;
        let listener = UnixListener::bind(folder.join(SOCKET))?;
        let folder = folder.to_owned();
        Ok(Self { listener, folder })
    }

    /// Where the MQTT client connects.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(SOCKET)
    }

    /// Carries bytes both ways until one side ends.
    ///
    /// # Errors
    /// Why TLS or the connection failed.
    pub(super) async fn carry(self, mut broker: TlsStream<TcpStream>) -> io::Result<()> {
        let mut client = accept_own(&self.listener).await?;
        drop(self.listener);
        remove(&self.folder)?;
        copy_bidirectional(&mut client, &mut broker).await?;
        Ok(())
    }
}

async fn accept_own(listener: &UnixListener) -> io::Result<UnixStream> {
    let own = i32::try_from(std::process::id()).ok();
    loop {
        let (stream, _) = listener.accept().await?;
        if own.is_some() && stream.peer_cred()?.pid() == own {
            return Ok(stream);
        }
        tracing::warn!("another process connected to the fleet's socket: it is turned away");
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
