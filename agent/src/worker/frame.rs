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

#[cfg(test)]
mod tests {
    use super::super::message::Loaded;
    use super::*;
    use crate::hostile::mutated;
    use crate::infer::{Example, Graph, Stage};
    use crate::tensor::Tensor;
    use proptest::prelude::*;

    fn tensor() -> Tensor {
        Tensor::from_f32("x", vec![1, 2], &[1.0, -2.0]).expect("valid")
    }

    /// The frames of every request.
    fn requests() -> Vec<u8> {
        let load = Request::Load {
            path: "/models/a".into(),
            graph: Graph::Optimised,
            example: Example::of(&[tensor()]),
        };
        let run = Request::Run {
            id: 7,
            inputs: vec![tensor()],
        };
        [load, run].map(|one| encode(&one).expect("small")).concat()
    }

    fn replies() -> [Vec<u8>; 4] {
        let entered = Reply::Entered {
            stage: Stage::Parse,
            operator: Some("Gemm".into()),
        };
        let loaded = Reply::Loaded(Loaded {
            operators: vec!["Gemm".into(), "Relu".into()],
            metadata: vec![("producer".into(), "x".into())],
            ..Loaded::default()
        });
        let ran = Reply::Ran {
            id: 7,
            outputs: vec![tensor()],
            run_us: 12,
        };
        let failed = Reply::Failed {
            id: 7,
            operator: None,
            reason: "because".into(),
        };
        [entered, loaded, ran, failed].map(|one| encode(&one).expect("small"))
    }

    async fn received(bytes: &[u8]) -> Result<Reply, Broken> {
        let (mut ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs
            .write_all(bytes)
            .await
            .expect("room for a small frame");
        drop(theirs);
        receive(&mut ours).await
    }

    #[tokio::test]
    async fn every_reply_arrives() {
        for reply in replies() {
            assert!(received(&reply).await.is_ok());
        }
    }

    proptest! {
        #[test]
        fn hostile_requests_are_read_to_their_end(bytes in mutated(requests())) {
            let mut channel = &bytes[..];
            while let Ok(Some(_)) = read_request(&mut channel) {}
            prop_assert!(channel.len() < bytes.len() || bytes.is_empty());
        }

        #[test]
        fn a_hostile_worker_breaks_nothing_but_its_channel(
            bytes in proptest::sample::select(replies().to_vec()).prop_flat_map(mutated),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let reply = runtime.expect("a runtime").block_on(received(&bytes));
            if let Ok(Reply::Ran { outputs, .. }) = reply {
                let held: usize = outputs.iter().map(|tensor| tensor.data().len()).sum();
                prop_assert!(held <= bytes.len());
            }
        }
    }
}
