//! Binds the listeners: loopback only, and a socket that only this user can reach.
//!
//! Never takes an address from a living program; a socket file without one is replaced.

use super::ServeError;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::Path;
use tokio::net::{TcpListener, UnixListener, UnixStream};

const FOLDER_MODE: u32 = 0o700;
const SOCKET_MODE: u32 = 0o600;

/// A TCP listener and the address that it got.
pub(super) async fn on_tcp(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback { address });
    }
    let failed = |source: io::Error| match source.kind() == io::ErrorKind::AddrInUse {
        true => ServeError::PortInUse { address },
        false => ServeError::Tcp { address, source },
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// A listener on a unix socket.
pub(super) async fn on_unix(path: &Path) -> Result<UnixListener, ServeError> {
    let failed = |source: io::Error| ServeError::Socket {
        path: path.to_owned(),
        source,
    };
    prepare_folder(path)?;
    clear(path).await?;
    let listener = UnixListener::bind(path).map_err(failed)?;
    // Until here the folder keeps others out.
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(failed)?;
    Ok(listener)
}

fn prepare_folder(path: &Path) -> Result<(), ServeError> {
    let failed = |source: io::Error| ServeError::Socket {
        path: path.to_owned(),
        source,
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(failed)?;
    let mode = fs::metadata(folder).map_err(failed)?.permissions().mode() & 0o777;
    match mode & !FOLDER_MODE {
        0 => Ok(()),
        _ => Err(ServeError::OpenFolder {
            path: path.to_owned(),
            folder: folder.to_owned(),
            mode,
        }),
    }
}

/// Removes a socket that nobody listens on.
async fn clear(path: &Path) -> Result<(), ServeError> {
    let failed = |source: io::Error| ServeError::Socket {
        path: path.to_owned(),
        source,
    };
    let path_owned = || path.to_owned();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ServeError::NotASocket { path: path_owned() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        // A full backlog says "would block": somebody lives there.
        Ok(_) | Err(_) => Err(ServeError::SocketInUse { path: path_owned() }),
    }
}
