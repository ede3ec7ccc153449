//! The last words of a worker: the end of its stderr.
//!
//! Bounded whatever it writes; control characters never reach a log or a terminal.

use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::ChildStderr;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Bytes that are kept.
const EVIDENCE_BYTES_MAX: usize = 2 * 1024;
/// How long to wait for the end of stderr after the death of the child.
const EVIDENCE_WAIT_MS_MAX: u64 = 500;

/// A task that reads until the end, so that the child never blocks on a full pipe.
#[derive(Debug)]
pub(super) struct Evidence(Option<JoinHandle<String>>);

impl Evidence {
    pub(super) fn collect(stderr: Option<ChildStderr>) -> Evidence {
        Evidence(stderr.map(|stderr| tokio::spawn(read_tail(stderr))))
    }

    /// What was written, once. Call when the child is dead.
    pub(super) async fn take(&mut self) -> String {
        let Some(task) = self.0.take() else {
            return String::new();
        };
        let limit = Duration::from_millis(EVIDENCE_WAIT_MS_MAX);
        match timeout(limit, task).await {
            Ok(Ok(text)) => text,
            Ok(Err(_)) | Err(_) => String::new(),
        }
    }
}

async fn read_tail(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut tail: Vec<u8> = Vec::new();
    let mut chunk = [0; 1024];
    while let Ok(read @ 1..) = stderr.read(&mut chunk).await {
        tail.extend_from_slice(&chunk[..read]);
        let excess = tail.len().saturating_sub(EVIDENCE_BYTES_MAX);
        tail.drain(..excess);
    }
    printable(&tail)
}

fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_end_is_kept_and_it_is_harmless() {
        let mut noise = vec![b'a'; 100_000];
        noise.extend_from_slice(b"\x1b[31m panicked\n\nhere \xff");
        let text = read_tail(noise.as_slice()).await;
        assert!(text.len() <= EVIDENCE_BYTES_MAX + 2, "{}", text.len());
        assert!(text.ends_with("a [31m panicked here \u{fffd}"), "{text:?}");
    }
}
