//! Frames on the socket pair: length (u32, little endian), then one CBOR message.
//!
//! Memory grows with what arrives, never with what a length promises.

use super::Broken;
use super::message::{Reply, Request};
use std::io::{self, Read, Write};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Largest message: room for the largest input or output and some small ones.
const FRAME_BYTES_MAX: u32 = 256 * 1024 * 1024;

/// Why a message cannot travel.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// More than [`FRAME_BYTES_MAX`].
    #[error("a message of {0} bytes is more than the limit of {FRAME_BYTES_MAX}")]
    TooLarge(usize),
}

/// A message with its length in front.
pub(super) fn encode<T: minicbor::Encode<()>>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; 4];
    let Ok(()) = minicbor::encode(message, &mut frame).map_err(|error| {
        debug_assert!(false, "writing to memory failed: {error}");
    }) else {
        return Err(FrameError::TooLarge(frame.len()));
    };
    let length = frame.len() - 4;
    match u32::try_from(length) {
        Ok(prefix) if prefix <= FRAME_BYTES_MAX => {
            frame[..4].copy_from_slice(&prefix.to_le_bytes());
            Ok(frame)
        }
        Ok(_) | Err(_) => Err(FrameError::TooLarge(length)),
    }
}

/// The supervisor's side.
pub(super) async fn send(channel: &mut UnixStream, frame: &[u8]) -> io::Result<()> {
    channel.write_all(frame).await
}

/// The supervisor's side: one reply.
pub(super) async fn receive(channel: &mut UnixStream) -> Result<Reply, Broken> {
    let mut prefix = [0; 4];
    channel.read_exact(&mut prefix).await?;
    let length = u32::from_le_bytes(prefix);
    if length > FRAME_BYTES_MAX {
        return Err(Broken::Protocol(format!("a frame of {length} bytes")));
    }
    let mut body = Vec::new();
    let read = channel
        .take(u64::from(length))
        .read_to_end(&mut body)
        .await?;
    if read < length as usize {
        return Err(Broken::Closed);
    }
    minicbor::decode(&body).map_err(|error| Broken::Protocol(format!("unreadable reply: {error}")))
}

/// The worker's side: one request, `None` at the end of the file.
pub(super) fn read_request(channel: &mut impl Read) -> io::Result<Option<Request>> {
    let mut prefix = [0; 4];
    match channel.read_exact(&mut prefix) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_le_bytes(prefix).min(FRAME_BYTES_MAX);
    let mut body = Vec::new();
    channel.take(u64::from(length)).read_to_end(&mut body)?;
    minicbor::decode(&body).map(Some).map_err(io::Error::other)
}

/// The worker's side: one reply.
pub(super) fn write_reply(channel: &mut impl Write, reply: &Reply) -> io::Result<()> {
    channel.write_all(&encode(reply).map_err(io::Error::other)?)
}
