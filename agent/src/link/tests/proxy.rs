//! A TCP proxy that can stop forwarding without closing, or cut what passes through it.
//!
//! Connections that come after that are forwarded again.

use std::future::pending;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Forward,
    Freeze,
    Cut,
}

pub(super) struct Proxy {
    port: u16,
    fate: watch::Sender<Fate>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (fate, watched) = watch::channel(Fate::Forward);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut fate = watched.clone();
                fate.mark_unchanged();
                tokio::spawn(forward(client, to, fate));
            }
        });
        Self { port, fate, task }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What is connected now is never forwarded again, and never closed.
    pub(super) fn freeze(&mut self) {
        self.fate.send_replace(Fate::Freeze);
    }

    /// What is connected now is closed.
    pub(super) fn cut(&mut self) {
        self.fate.send_replace(Fate::Cut);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(mut client: TcpStream, to: u16, mut fate: watch::Receiver<Fate>) {
    let mut server = TcpStream::connect(("127.0.0.1", to))
        .await
        .expect("connected");
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        _ = fate.changed() => (),
    }
    if *fate.borrow() == Fate::Freeze {
        pending::<()>().await;
    }
}
