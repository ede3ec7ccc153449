//! A TCP connection to a host, trying each of its addresses for a bounded time.
//!
//! Never speaks on it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// Connects to the first address that answers within `timeout_ms`; looking the name up has the
/// same time.
///
/// # Errors
/// The name is unknown, or why the last address did not answer.
pub async fn dial(host: &str, port: u16, timeout_ms: u64) -> io::Result<TcpStream> {
    let limit = Duration::from_millis(timeout_ms);
    let addresses = timeout(limit, lookup_host((host, port)))
        .await
        .map_err(|_| late("looking up the name took too long"))??;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match connect(address, limit).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn connect(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let stream = timeout(limit, TcpStream::connect(address))
        .await
        .map_err(|_| late("no answer in time"))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn late(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}
