//! As much of HTTP/1.1 as asking a local server takes: one request, one JSON answer.

use serde_json::Value;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest silence of a server under test.
const SILENCE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// The body; null when it is no JSON.
    pub body: Value,
}

/// One question.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Path with its query.
    pub path: &'a str,
    /// Bearer token.
    pub token: Option<&'a str>,
    /// Body as it is.
    pub body: Option<&'a str>,
}

/// Asks, and reads until the answer is whole: some servers do not close, though they say so.
///
/// # Errors
/// Nobody listens, the connection breaks, or what comes is not HTTP.
pub fn ask(address: SocketAddr, question: Question<'_>) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.write_all(head(address, question).as_bytes())?;
    stream.write_all(question.body.unwrap_or_default().as_bytes())?;
    let (mut answer, mut more) = (Vec::new(), [0; 16 * 1024]);
    while !is_whole(&answer) {
        match stream.read(&mut more)? {
            0 => break,
            count => answer.extend_from_slice(&more[..count]),
        }
    }
    parse(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer"))
}

/// Whether the body is as long as its head says; without such a head the end tells.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= end + 4 + length)
}

fn head(address: SocketAddr, question: Question<'_>) -> String {
    let Question {
        method,
        path,
        token,
        body,
    } = question;
    let token = token.map_or(String::new(), |token| {
        format!("authorization: Bearer {token}\r\n")
    });
    let body = body.map_or(String::new(), |body| {
        format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        )
    });
    format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{token}{body}\r\n")
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let body = if chunked {
        unchunked(body)?
    } else {
        body.to_owned()
    };
    Some(Answer {
        status,
        body: serde_json::from_str(&body).unwrap_or(Value::Null),
    })
}

fn unchunked(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix("\r\n")?;
    }
}
