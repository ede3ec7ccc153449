//! A stick at this device: what the command that reads it and the running agent say to each other.
//!
//! The command is a courier: it hands over what lies on the stick when the agent asks for it, and
//! judges nothing. Never does the agent itself open a stick.

pub mod file;
pub mod folder;

use minicbor::{Decode, Encode};
use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::message::{Answer, Piece, What};
use muster_protocol::topic::Down;
use tokio::sync::oneshot;

/// Where the agent takes a stick up, on its unix socket alone.
pub const IMPORT_PATH: &str = "/muster/stick/import";
/// Where it says what waits for the fleet.
pub const EXPORT_PATH: &str = "/muster/stick/export";

/// What a command asks of the running agent, and where the answer goes.
#[derive(Debug)]
pub enum Request {
    /// To take from a stick.
    Import(Ask, Reply<Told>),
    /// What waits for the fleet.
    Export(Reply<Carried>),
}

/// An answer, or why there is none.
pub type Reply<T> = oneshot::Sender<Result<T, String>>;

/// One step of an import.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Ask {
    /// A stick is here; it takes the place of one that was here before.
    #[n(0)]
    Begin,
    /// These lay on it.
    #[n(1)]
    Bring {
        /// What.
        #[n(0)]
        letters: Vec<Letter>,
        /// Whether more that was wished for is at hand: the answer need not wait then.
        #[n(1)]
        more: bool,
    },
    /// It is taken away.
    #[n(2)]
    End,
}

/// A message as it would come over the link.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Letter {
    /// The last level of its topic.
    #[n(0)]
    channel: String,
    /// The message.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// How an import stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Told {
    /// The device.
    #[n(0)]
    pub device: String,
    /// What it wants of the stick, in this order.
    #[n(1)]
    pub wishes: Vec<Wish>,
    /// What it refused since the last answer.
    #[n(2)]
    pub refused: Vec<Refusal>,
    /// Whether it wants nothing more, as things are.
    #[n(3)]
    pub rests: bool,
}

/// One piece, document or part of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Wish {
    /// As [`What::Metadata`].
    #[n(0)]
    Metadata {
        /// The role.
        #[n(0)]
        role: String,
        /// Its version, or whichever there is.
        #[n(1)]
        version: Option<u64>,
        /// First byte.
        #[n(2)]
        offset: u64,
    },
    /// As [`What::Blob`].
    #[n(1)]
    Blob {
        /// Digest as sent.
        #[n(0)]
        digest: Digest,
        /// Which piece.
        #[n(1)]
        index: u32,
        /// Bytes of a piece.
        #[n(2)]
        piece_size: u32,
    },
}

/// Something that was refused; it changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Refusal {
    /// What.
    #[n(0)]
    pub what: String,
    /// Why.
    #[n(1)]
    pub because: String,
    /// What that means for the rest of the stick.
    #[n(2)]
    pub weight: Weight,
}

/// What a refusal means for the rest of the stick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Weight {
    /// The device has newer: the rest may count all the same.
    #[n(0)]
    Older,
    /// The device does not know the time.
    #[n(1)]
    NoTime,
    /// It is not what it should be.
    #[n(2)]
    Bad,
}

/// What waits for the fleet: exactly the bytes that are sent over the link.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Carried {
    /// The device.
    #[n(0)]
    pub device: String,
    /// A hello, whose nonce asks for the time.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub hello: Vec<u8>,
    /// Numbered documents.
    #[n(2)]
    pub documents: Vec<Numbered>,
}

/// A signed document under the name of its file.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Numbered {
    /// By stream and number.
    #[n(0)]
    pub name: String,
    /// As it was signed.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

impl Letter {
    /// A message of this channel.
    pub fn new(channel: Down, bytes: Vec<u8>) -> Self {
        let channel = channel.as_str().to_owned();
        Self { channel, bytes }
    }

    /// The answer to a wish; `None` says that it is not there.
    pub fn answering(wish: &Wish, found: Option<(u64, Vec<u8>)>) -> Self {
        let answer = match &found {
            Some((total, bytes)) => Answer::Bytes {
                total: *total,
                bytes,
            },
            None => Answer::NotFound,
        };
        let what = wish.what();
        Self::new(Down::Piece, cbor::to_vec(&Piece { what, answer }))
    }

    /// The channel, if there is such a one.
    pub fn channel(&self) -> Option<Down> {
        Down::parse(&self.channel)
    }
}

impl Wish {
    /// `count` wishes from this one on; metadata comes in one part after the other.
    pub fn of(what: &What<'_>, count: u32) -> Vec<Self> {
        match *what {
            What::Metadata {
                role,
                version,
                offset,
            } => vec![Self::Metadata {
                role: role.to_owned(),
                version,
                offset,
            }],
            What::Blob {
                digest,
                index,
                piece_size,
            } => (index..index.saturating_add(count))
                .map(|index| Self::Blob {
                    digest,
                    index,
                    piece_size,
                })
                .collect(),
        }
    }

    /// As the wire calls it.
    pub fn what(&self) -> What<'_> {
        match self {
            Self::Metadata {
                role,
                version,
                offset,
            } => What::Metadata {
                role,
                version: *version,
                offset: *offset,
            },
            Self::Blob {
                digest,
                index,
                piece_size,
            } => What::Blob {
                digest: *digest,
                index: *index,
                piece_size: *piece_size,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_two_say_is_read_as_it_was_written() {
        let digest = Digest([1; 32]);
        let what = What::Blob {
            digest,
            index: 3,
            piece_size: 4096,
        };
        let wishes = Wish::of(&what, 2);
        assert_eq!(wishes[0].what(), what);
        let bring = Ask::Bring {
            letters: vec![Letter::answering(&wishes[1], Some((9, vec![1, 2])))],
            more: true,
        };
        assert_eq!(cbor::decode::<Ask>(&cbor::to_vec(&bring)), Ok(bring));
        let told = Told {
            device: "press-07".to_owned(),
            wishes,
            refused: vec![Refusal {
                what: "time".to_owned(),
                because: "no".to_owned(),
                weight: Weight::Bad,
            }],
            rests: false,
        };
        assert_eq!(cbor::decode::<Told>(&cbor::to_vec(&told)), Ok(told));
        let carried = Carried {
            device: "press-07".to_owned(),
            hello: vec![1],
            documents: vec![Numbered {
                name: "doc".to_owned(),
                bytes: vec![2],
            }],
        };
        assert_eq!(
            cbor::decode::<Carried>(&cbor::to_vec(&carried)),
            Ok(carried)
        );
    }
}
