//! A small HTTP server that has files, and that can be as slow or as endless as an attacker's. It
//! serves one connection after the other and closes each.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::Duration,
};

/// What stands under a path.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    File(Vec<u8>),
    Status(u16),
    /// Bytes without end.
    Endless,
    /// A head, and then nothing.
    Stalled,
    /// A byte now and then.
    Dripping,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Reply>,
    asked: Vec<String>,
    closed: bool,
}

/// A running server.
pub(super) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.lock().unwrap().closed {
                    return;
                }
                // A client that has heard enough closes: an error of this connection is its end.
                let _ = stream.and_then(|stream| serve(stream, &shared));
            }
        });
        Self {
            address,
            state,
            thread: Some(thread),
        }
    }

    pub(super) fn url(&self, folder: &str) -> String {
        format!("http://{}/{folder}", self.address)
    }

    pub(super) fn put(&self, path: &str, reply: Reply) {
        self.state().files.insert(path.into(), reply);
    }

    pub(super) fn has(&self, bytes: &[u8]) -> bool {
        let file = Reply::File(bytes.into());
        self.state().files.values().any(|reply| *reply == file)
    }

    /// What was asked for since the last call, without the folder.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state().closed = true;
        // Wakes the thread up.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: TcpStream, shared: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut request, mut line) = (String::new(), String::new());
    reader.read_line(&mut request)?;
    while !line.trim().is_empty() || line.is_empty() {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let reply = {
        let mut state = shared.lock().unwrap();
        let name = path.trim_start_matches("/metadata/");
        state
            .asked
            .push(name.trim_start_matches("/targets/").into());
        state.files.get(&path).cloned()
    };
    answer(reader.get_mut(), reply.unwrap_or(Reply::Status(404)))
}

fn answer(stream: &mut TcpStream, reply: Reply) -> std::io::Result<()> {
    const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    const LONG: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n";
    match reply {
        Reply::File(bytes) => {
            let length = bytes.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n")?;
            stream.write_all(b"Connection: close\r\n\r\n")?;
            stream.write_all(&bytes)
        }
        Reply::Status(status) => write!(
            stream,
            "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
        Reply::Endless => {
            stream.write_all(ENDLESS)?;
            loop {
                stream.write_all(&[b' '; 4096])?;
            }
        }
        Reply::Stalled => {
            stream.write_all(LONG)?;
            stream.read(&mut [0]).map(drop)
        }
        Reply::Dripping => {
            stream.write_all(LONG)?;
            // Waits for the client to hang up, and says something whenever it has not.
            stream.set_read_timeout(Some(Duration::from_millis(20)))?;
            while stream.read(&mut [0]).is_err() {
                stream.write_all(b" ")?;
            }
            Ok(())
        }
    }
}
