//! A home, a controller without a broker, and a TLS client that trusts the home's CA.

use muster_protocol::id::DeviceId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;
use crate::command::init;

pub(in crate::api) const TOKEN: &str = "token of these tests";

pub(in crate::api) struct Sample {
    pub(in crate::api) controller: Arc<Controller>,
    pub(in crate::api) home: Home,
    _folder: tempfile::TempDir,
}

impl Sample {
    pub(in crate::api) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = init::new_home(&folder.path().join("home")).await;
        std::fs::remove_file(home.api_token()).expect("removed");
        home::write_private(&home.api_token(), TOKEN.as_bytes()).expect("written");
        Self {
            controller: controller(&home),
            home,
            _folder: folder,
        }
    }

    /// Enrols a device that has not spoken yet.
    pub(in crate::api) async fn add_device(&self, device: &DeviceId) {
        let (device, now) = (device.clone(), crate::clock::now());
        let added = self
            .controller
            .store()
            .write(move |tx| tx.add_device(&device, now));
        added.await.expect("stored");
    }

    /// Sends a request and gives the answer up to the end of its connection.
    pub(in crate::api) async fn over_tls(&self, address: SocketAddr, request: &str) -> String {
        let pem = home::read_text(&self.home.ca_root_pem()).expect("the CA");
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        roots.add(root).expect("an anchor");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let socket = TcpStream::connect(address).await.expect("connected");
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, socket).await.expect("a handshake");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let _no_close_notify = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn controller(home: &Home) -> Arc<Controller> {
    Arc::new(Controller::open(home).expect("a controller"))
}
