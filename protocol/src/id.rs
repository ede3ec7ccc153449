//! Names and counters, each of its own type: made by parsing, never by conversion.
//!
//! No two of them compare with each other, and none is a path: their grammars hold no slash,
//! no dot at the start and no upper case.

use core::fmt;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// A text that does not follow the grammar of the id it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadId {
    /// Which id it should have been.
    pub kind: &'static str,
    /// The grammar that it broke.
    pub grammar: &'static str,
}

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a {}: expected {}", self.kind, self.grammar)
    }
}

impl core::error::Error for BadId {}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $len:literal, $grammar:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(heapless::String<$len>);

        impl $name {
            /// Reads the id.
            ///
            /// # Errors
            /// A text outside the grammar of this id.
            pub fn parse(text: &str) -> Result<Self, BadId> {
                let bad = BadId { kind: $kind, grammar: $grammar };
                let accepts: fn(&[u8]) -> bool = $accepts;
                if !accepts(text.as_bytes()) {
                    return Err(bad);
                }
                heapless::String::try_from(text).map(Self).map_err(|_| bad)
            }

            /// The id as it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl core::str::FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::parse(text)
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(
                &self,
                e: &mut Encoder<W>,
                _: &mut C,
            ) -> Result<(), encode::Error<W::Error>> {
                e.str(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
                Self::parse(d.str()?).map_err(|_| decode::Error::message($kind))
            }
        }
    };
}

text_id!(
    /// A device, as its certificate names it. Never contains `_`, which is the controller's.
    DeviceId, "device id", 63, "[a-z0-9][a-z0-9-]{0,62}", is_label
);
text_id!(
    /// A model: what versions are versions of.
    ModelId, "model id", 63, "[a-z0-9][a-z0-9-]{0,62}", is_label
);
text_id!(
    /// A version of a model, semver; a label, not an order: that is [`Rank`].
    Version, "version", 32, "MAJOR.MINOR.PATCH with an optional -PRERELEASE, at most 32 bytes",
    is_semver
);
text_id!(
    /// What kind of machine a bundle is for: `any`, `linux`, `cortex-m4f`, ….
    TargetClass, "target class", 31, "[a-z0-9][a-z0-9-]{0,30}", is_label
);

fn is_label(text: &[u8]) -> bool {
    let word = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.first().is_some_and(word) && text.iter().all(|b| word(b) || *b == b'-')
}

fn is_semver(text: &[u8]) -> bool {
    let split = text.iter().position(|b| *b == b'-').unwrap_or(text.len());
    let (core, pre) = text.split_at(split);
    core.split(|b| *b == b'.')
        .filter(|part| is_number(part))
        .count()
        == 3
        && core.iter().filter(|b| **b == b'.').count() == 2
        && (pre.is_empty() || is_prerelease(&pre[1..]))
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit) && (text.len() == 1 || text[0] != b'0')
}

fn is_prerelease(text: &[u8]) -> bool {
    let word = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    text.split(|b| *b == b'.')
        .all(|part| !part.is_empty() && part.iter().all(word))
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode,
        )]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

counter!(
    /// Counts directors: a new one, named by a new `fleet.json`, starts a new epoch.
    Epoch(u64)
);
counter!(
    /// Counts the assignments of one device within an epoch.
    Generation(u64)
);
counter!(
    /// Order of the releases of a model, raised by the release keys with each.
    Rank(u32)
);
counter!(
    /// Counts the key sets of one chain; the first is 1.
    KeySetVersion(u32)
);
counter!(
    /// Number of a document in its stream; the first is 1.
    Sequence(u64)
);

/// When an assignment, or an entry of one, was made: compared lexicographically, so that a new
/// epoch resets a generation that was driven to its maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct EpochGeneration {
    /// Which director.
    #[n(0)]
    pub epoch: Epoch,
    /// Which assignment of that director.
    #[n(1)]
    pub generation: Generation,
}

impl EpochGeneration {
    /// The pair.
    #[must_use]
    pub const fn new(epoch: u64, generation: u64) -> Self {
        Self {
            epoch: Epoch(epoch),
            generation: Generation(generation),
        }
    }
}

impl fmt::Display for EpochGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.generation)
    }
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident($len:literal)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&crate::digest::Hex(&self.0), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

random_id!(
    /// A stream: random, made together with the queue file that it numbers.
    StreamId(8)
);
random_id!(
    /// One boot of one device: random, so that monotonic times of two boots never compare.
    BootId(8)
);
random_id!(
    /// A question that only a fresh answer can repeat.
    Nonce(16)
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_ids_follow_their_grammar() {
        for (text, expect) in [
            ("a", true),
            ("press-07", true),
            ("0", true),
            ("", false),
            ("-a", false),
            ("_fleet", false),
            ("A", false),
            ("a/b", false),
            ("a+", false),
            ("a.b", false),
            ("é", false),
        ] {
            assert_eq!(DeviceId::parse(text).is_ok(), expect, "{text:?}");
        }
        let long = [b'a'; 64];
        let text = |len| core::str::from_utf8(&long[..len]).expect("ASCII");
        assert!(DeviceId::parse(text(63)).is_ok());
        assert!(DeviceId::parse(text(64)).is_err());
    }

    #[test]
    fn versions_are_semver() {
        for (text, expect) in [
            ("1.0.0", true),
            ("0.10.2-rc.1", true),
            ("1.0", false),
            ("1.0.0.0", false),
            ("01.0.0", false),
            ("1.0.0-", false),
            ("1.0.0-a..b", false),
            ("1.0.x", false),
            ("v1.0.0", false),
            ("1..0", false),
        ] {
            assert_eq!(Version::parse(text).is_ok(), expect, "{text:?}");
        }
    }

    #[test]
    fn a_new_epoch_resets_a_generation_driven_to_its_maximum() {
        assert!(EpochGeneration::new(2, 1) > EpochGeneration::new(1, u64::MAX));
    }
}
