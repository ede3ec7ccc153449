//! One kept connection to an agent's inference server: HTTP/1.1 over its unix socket.
//! As much of the protocol as that server speaks; never chunks, never redirects.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// Longer than an agent may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
const LINE_BYTES_MAX: u64 = 8 * 1024;
const LINES_MAX: usize = 64;
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A connection.
pub(super) struct Http<S>(BufReader<S>);

impl Http<UnixStream> {
    /// Connects to a socket.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(super) fn connect(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("failed to connect to {}", socket.display()))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self(BufReader::new(stream)))
    }
}

impl<S: Read + Write> Http<S> {
    /// Asks for what is at `path`.
    ///
    /// # Errors
    /// The connection breaks, or the answer is none that is expected.
    pub(super) fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        self.ask(
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            b"",
        )
    }

    /// Sends `body` to `path`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) fn post(&mut self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let body = serde_json::to_vec(body)?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.ask(&head, &body)
    }

    fn ask(&mut self, head: &str, body: &[u8]) -> anyhow::Result<Value> {
        let request = [head.as_bytes(), body].concat();
        self.0.get_mut().write_all(&request)?;
        let (status, length) = self.read_head()?;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        let text = String::from_utf8_lossy(&body);
        ensure!(status == 200, "the server answered {status}: {text}");
        serde_json::from_slice(&body).with_context(|| format!("the answer is no JSON: {text}"))
    }

    /// Status and length of the body.
    fn read_head(&mut self) -> anyhow::Result<(u16, usize)> {
        let first = self.read_line()?;
        let status = first.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.with_context(|| format!("{first:?} is no answer of HTTP"))?;
        let mut length = None;
        for _ in 0..LINES_MAX {
            let line = self.read_line()?;
            if line.is_empty() {
                let length: usize = length.context("the answer does not say its length")?;
                ensure!(length <= BODY_BYTES_MAX, "the answer has {length} bytes");
                return Ok((status, length));
            }
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse()?);
            }
        }
        bail!("the answer's head has more than {LINES_MAX} lines")
    }

    fn read_line(&mut self) -> anyhow::Result<String> {
        let mut line = Vec::new();
        let mut bounded = Read::take(&mut self.0, LINE_BYTES_MAX);
        bounded.read_until(b'\n', &mut line)?;
        ensure!(line.ends_with(b"\n"), "the connection ended within a line");
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor};

    use super::*;

    /// Answers that were prepared, whatever is asked.
    struct Prepared(Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Prepared {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Prepared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn check(answer: &str, expect: Result<Value, &str>) {
        let prepared = Prepared(Cursor::new(answer.as_bytes().to_vec()), Vec::new());
        let mut http = Http(BufReader::new(prepared));
        match (http.post("/a", &Value::from(7)), expect) {
            (Ok(got), Ok(expect)) => assert_eq!(got, expect, "{answer}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, expect) => panic!("{answer:?}: {got:?} instead of {expect:?}"),
        }
        let sent = String::from_utf8_lossy(&http.0.get_ref().1).into_owned();
        assert!(sent.ends_with("Content-Length: 1\r\n\r\n7"), "{sent}");
    }

    #[test]
    fn answers_are_read_or_refused_with_a_reason() {
        let ok = "HTTP/1.1 200 OK\r\n";
        check(
            &format!("{ok}content-length: 2\r\nX: y\r\n\r\n[]"),
            Ok(Value::Array(Vec::new())),
        );
        check(&format!("{ok}Content-Length: 1\r\n\r\n8"), Ok(8.into()));
        check(&format!("{ok}\r\n"), Err("does not say its length"));
        check(&format!("{ok}Content-Length: 1\r\n\r\n{{"), Err("no JSON"));
        check(
            &format!("{ok}Content-Length: 99999999999\r\n\r\n"),
            Err("99999999999 bytes"),
        );
        check(
            "HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy",
            Err("answered 503: busy"),
        );
        check("HTTP/1.1 200", Err("within a line"));
        check("", Err("within a line"));
        check("hello\r\n", Err("no answer of HTTP"));
        check(&format!("{ok}{}", "a: b\r\n".repeat(65)), Err("64 lines"));
    }

    #[test]
    fn two_answers_come_over_one_connection() -> anyhow::Result<()> {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
        let answers = format!("{answer}1{answer}2");
        let prepared = Prepared(Cursor::new(answers.into_bytes()), Vec::new());
        let mut http = Http(BufReader::new(prepared));
        assert_eq!((http.get("/")?, http.get("/")?), (1.into(), 2.into()));
        Ok(())
    }
}
