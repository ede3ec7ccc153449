//! A recorder on the wire between a device and its broker: takes TLS off, keeps every byte of both
//! directions, and puts TLS on again.
//!
//! It shows the broker's own certificate to the device, and the device's own to the broker: what
//! nobody on a wire could do who has not both keys. Changes nothing.

use crate::device::Device;
use crate::fleet::Fleet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The recorder. Ends with the process.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    streams: Streams,
}

/// Each direction of each connection, in the order of their beginnings.
type Streams = Arc<Mutex<Vec<Stream>>>;

/// One direction of one connection.
#[derive(Debug, Clone)]
struct Stream {
    way: Way,
    bytes: Vec<u8>,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the device.
    Up,
    /// To the device.
    Down,
}

/// What both ends of a connection are met with.
#[derive(Clone)]
struct Ends {
    device: TlsAcceptor,
    broker: TlsConnector,
    to: SocketAddr,
}

impl Recorder {
    /// Puts a recorder between a fleet's wire and its broker, for one device.
    ///
    /// # Panics
    /// When there is no free port, or keys and certificates are not where they should be.
    pub fn before(fleet: &Fleet, device: &Device) -> Self {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("it is bound");
        let ends = Ends {
            device: acceptor(&fleet.home().join("controller")),
            broker: connector(fleet, &device.state().join("identity")),
            to: fleet.broker(),
        };
        let streams = Streams::default();
        let recorder = Self {
            address,
            streams: Arc::clone(&streams),
        };
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        thread::spawn(move || runtime.block_on(listen(listener, ends, streams)));
        fleet.proxy().lead_to(recorder.address);
        recorder
    }

    /// All bytes of one direction so far, connection by connection.
    ///
    /// # Panics
    /// When a connection has panicked.
    pub fn bytes(&self, way: Way) -> Vec<u8> {
        let streams = self.streams.lock().expect("not poisoned");
        let of_way = streams.iter().filter(|stream| stream.way == way);
        of_way.flat_map(|stream| stream.bytes.clone()).collect()
    }
}

async fn listen(listener: StdListener, ends: Ends, streams: Streams) {
    let listener = TcpListener::from_std(listener).expect("a socket");
    loop {
        let (near, _) = listener.accept().await.expect("a connection");
        let (ends, streams) = (ends.clone(), Arc::clone(&streams));
        // One that ends badly is made again by the device, as any other.
        tokio::spawn(async move { carry(near, &ends, &streams).await.ok() });
    }
}

async fn carry(near: TcpStream, ends: &Ends, streams: &Streams) -> io::Result<()> {
    let near = ends.device.accept(near).await?;
    let far = TcpStream::connect(ends.to).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    let far = ends.broker.connect(name, far).await?;
    let ((near_in, near_out), (far_in, far_out)) = (split(near), split(far));
    let record = |way| Record::begin(streams, way);
    tokio::select! {
        ended = copy(near_in, far_out, record(Way::Up)) => ended,
        ended = copy(far_in, near_out, record(Way::Down)) => ended,
    }
}

/// Where one direction of one connection is kept.
struct Record<'s> {
    streams: &'s Streams,
    place: usize,
}

impl<'s> Record<'s> {
    fn begin(streams: &'s Streams, way: Way) -> Self {
        let mut all = streams.lock().expect("not poisoned");
        let bytes = Vec::new();
        all.push(Stream { way, bytes });
        let place = all.len() - 1;
        Self { streams, place }
    }

    fn keep(&self, bytes: &[u8]) {
        let mut all = self.streams.lock().expect("not poisoned");
        all[self.place].bytes.extend(bytes);
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    record: Record<'_>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match from.read(&mut buffer).await? {
            0 => return to.shutdown().await,
            len => {
                record.keep(&buffer[..len]);
                to.write_all(&buffer[..len]).await?;
                to.flush().await?;
            }
        }
    }
}

/// As the broker.
fn acceptor(controller: &Path) -> TlsAcceptor {
    let (chain, key) = (
        certificates(&controller.join("server.pem")),
        key(&controller.join("server.key")),
    );
    let config = ServerConfig::builder_with_provider(provider());
    let config = config.with_safe_default_protocol_versions().expect("TLS");
    let config = config.with_no_client_auth().with_single_cert(chain, key);
    Arc::new(config.expect("the broker's own certificate")).into()
}

/// As the device.
fn connector(fleet: &Fleet, identity: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let trusted = certificates(&fleet.home().join("controller/ca-root.pem"));
    roots.add_parsable_certificates(trusted);
    let (chain, key) = (
        certificates(&identity.join("chain.pem")),
        key(&identity.join("tls.key")),
    );
    let config = ClientConfig::builder_with_provider(provider());
    let config = config.with_safe_default_protocol_versions().expect("TLS");
    let config = config.with_root_certificates(roots);
    let config = config.with_client_auth_cert(chain, key);
    Arc::new(config.expect("the device's own certificate")).into()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    let found = CertificateDer::pem_file_iter(path).expect("a PEM file");
    found.collect::<Result<_, _>>().expect("certificates")
}

fn key(path: &Path) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(path).expect("a key")
}
