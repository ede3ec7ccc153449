//! Bytes over plain HTTP, never more than allowed and never for longer than patience lasts. What
//! they are worth is not known here: TUF needs no transport that it could trust.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request, StatusCode, Uri,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, runtime, time::timeout};

/// How long a fetch may take.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// Between two signs of life.
    pub(super) silence: Duration,
    /// For the bytes that an answer may have, at their slowest. One more silence is added.
    pub(super) bytes_per_s_min: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(10),
            bytes_per_s_min: 16 * 1024,
        }
    }
}

/// What a repository answers.
pub(super) enum Answer {
    /// The file.
    Bytes(Vec<u8>),
    /// There is no such file.
    Absent,
}

/// A place under which a repository has files.
pub(super) struct Source {
    host: String,
    port: u16,
    /// Begins and ends with a slash.
    path: String,
    patience: Patience,
}

impl Source {
    /// Takes `http://HOST[:PORT]/PATH`.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn new(url: &str, patience: Patience) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url:?} is no URL"))?;
        let http = uri.scheme_str() == Some("http") && uri.query().is_none();
        ensure!(http, "{url:?} is not of the form http://HOST[:PORT]/PATH");
        let host = uri.host().context("invariant: such a URL names a host")?;
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(80),
            path: format!("{}/", uri.path().trim_end_matches('/')),
            patience,
        })
    }

    /// The file `name`, already quoted.
    ///
    /// # Errors
    /// More than `bytes_max` bytes, too slow, or an answer that is none.
    pub(super) fn get(&self, name: &str, bytes_max: u64) -> anyhow::Result<Answer> {
        let mut builder = runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build()?;
        let Patience {
            silence,
            bytes_per_s_min,
        } = self.patience;
        let longest = Duration::from_secs(bytes_max / bytes_per_s_min.max(1)) + silence;
        let answer = runtime.block_on(async {
            let answer = timeout(longest, self.ask(name, bytes_max)).await;
            answer.unwrap_or_else(|_| bail!("it took longer than {longest:?}"))
        });
        answer.with_context(|| format!("failed to fetch {name}"))
    }

    async fn ask(&self, name: &str, bytes_max: u64) -> anyhow::Result<Answer> {
        let silence = self.patience.silence;
        let address = (self.host.trim_matches(['[', ']']), self.port);
        let socket = timeout(silence, TcpStream::connect(address)).await??;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        tokio::spawn(connection);
        let request = Request::get(format!("{}{name}", self.path))
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .body(Empty::<Bytes>::new())?;
        let reply = timeout(silence, sender.send_request(request)).await??;
        match reply.status() {
            StatusCode::OK => Ok(Answer::Bytes(
                self.read(reply.into_body(), bytes_max).await?,
            )),
            // Some stores of files answer "forbidden" for what they do not have.
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(Answer::Absent),
            status => bail!("the repository answered {status}"),
        }
    }

    async fn read(&self, mut body: Incoming, bytes_max: u64) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(frame) = timeout(self.patience.silence, body.frame()).await? {
            let Ok(part) = frame?.into_data() else {
                continue;
            };
            let length = bytes.len() as u64 + part.len() as u64;
            ensure!(length <= bytes_max, "it has more than {bytes_max} bytes");
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }
}
