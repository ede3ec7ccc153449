//! Whether an assignment is taken up.
//!
//! Pure judgement of signed bytes; never starts anything and never stores anything.

use crate::facts::Facts;
use core::fmt;
use muster_protocol::cose::{self, Refused, Verified};
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, EpochGeneration};
use muster_protocol::message::{Assignment, Entry};
use muster_protocol::time::UnixSeconds;

/// What a device accepted last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Its place.
    pub at: EpochGeneration,
    /// Digest of its signed bytes.
    pub digest: Digest,
}

/// Why an assignment is not taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAccepted {
    /// It does not open with the director's keys.
    Signature(Refused),
    /// It is for another device.
    OtherDevice,
    /// It comes from another director than the one that `fleet.json` names.
    OtherEpoch,
    /// A newer one was accepted.
    Old {
        /// What was accepted.
        accepted: EpochGeneration,
    },
    /// The very same one was accepted.
    Repeated,
    /// Another one with the same place was accepted: the director signed two.
    Forked,
    /// There is no trusted time to judge `accept_by` with: ask for time first.
    TimeUnknown,
    /// `accept_by` has passed.
    Expired {
        /// Until when it could be taken up.
        accept_by: UnixSeconds,
    },
    /// Two entries name one model in one role, or an entry is newer than its assignment.
    Inconsistent,
}

impl fmt::Display for NotAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature(refused) => write!(f, "{refused}"),
            Self::OtherDevice => f.write_str("it is for another device"),
            Self::OtherEpoch => f.write_str("it comes from another director than fleet.json names"),
            Self::Old { accepted } => write!(f, "{accepted} was accepted already"),
            Self::Repeated => f.write_str("it was accepted already"),
            Self::Forked => f.write_str("another assignment with the same number was accepted"),
            Self::TimeUnknown => f.write_str("no trusted time yet to judge its expiry"),
            Self::Expired { accept_by } => write!(f, "it could be accepted until {}", accept_by.0),
            Self::Inconsistent => f.write_str("its entries contradict each other"),
        }
    }
}

/// Opens and judges an assignment.
///
/// `scratch` must hold [`cose::scratch_len`] bytes.
///
/// # Errors
/// [`NotAccepted`], by the first check that fails.
pub fn accept<'b, const MODELS: usize>(
    bytes: &'b [u8],
    me: &DeviceId,
    facts: &Facts<MODELS>,
    last: Option<Accepted>,
    unix: Option<UnixSeconds>,
    scratch: &mut [u8],
) -> Result<Verified<Assignment<'b>>, NotAccepted> {
    let opened = cose::open::<Assignment<'b>>(bytes, facts.director.as_set(), scratch)
        .map_err(NotAccepted::Signature)?;
    if opened.device != *me {
        return Err(NotAccepted::OtherDevice);
    }
    if opened.at.epoch != facts.epoch {
        return Err(NotAccepted::OtherEpoch);
    }
    newer(opened.at, bytes, last)?;
    let unix = unix.ok_or(NotAccepted::TimeUnknown)?;
    if unix > opened.accept_by {
        return Err(NotAccepted::Expired {
            accept_by: opened.accept_by,
        });
    }
    if !consistent(&opened) {
        return Err(NotAccepted::Inconsistent);
    }
    Ok(opened)
}

fn newer(at: EpochGeneration, bytes: &[u8], last: Option<Accepted>) -> Result<(), NotAccepted> {
    let Some(last) = last else { return Ok(()) };
    if at > last.at {
        Ok(())
    } else if at < last.at {
        Err(NotAccepted::Old { accepted: last.at })
    } else if Digest::of(bytes) == last.digest {
        Err(NotAccepted::Repeated)
    } else {
        Err(NotAccepted::Forked)
    }
}

fn consistent(assignment: &Assignment<'_>) -> bool {
    let entries = || assignment.entries.iter();
    let place = |entry: &Entry| (entry.model.clone(), entry.role);
    entries().all(|entry| {
        entry.since <= assignment.at
            && entries()
                .filter(|other| place(other) == place(&entry))
                .count()
                == 1
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::facts::Keys;
    use muster_protocol::cbor::{self, List};
    use muster_protocol::id::{Epoch, Generation, ModelId, Version};
    use muster_protocol::key::PublicKey;
    use muster_protocol::message::{Role, Settings};
    use std::format;
    use std::vec::Vec;

    const DIRECTOR: u8 = 1;
    const NOW: Option<UnixSeconds> = Some(UnixSeconds(1000));

    fn me() -> DeviceId {
        DeviceId::parse("press-07").expect("valid")
    }

    fn entry(model: &str, since: EpochGeneration) -> Entry {
        Entry {
            model: ModelId::parse(model).expect("valid"),
            version: Version::parse("1.0.0").expect("valid"),
            statement: Digest([2; 32]),
            statement_size: 300,
            role: Role::Serve,
            since,
            settings: Settings::default(),
        }
    }

    /// Signs an assignment with the key of this seed; gives the key as well.
    fn signed(assignment: &Assignment<'_>, seed: u8) -> (PublicKey, Vec<u8>) {
        let (mut payload, mut scratch, mut out) = ([0; 1024], [0; 2048], [0; 2048]);
        let len = cbor::encode(assignment, &mut payload).expect("fits");
        let (payload, key) = (&payload[..len], [seed; 32].into());
        let len = cose::seal::<Assignment<'_>>(payload, &key, &mut scratch, &mut out);
        (
            key.verifying_key().into(),
            out[..len.expect("fits")].to_vec(),
        )
    }

    /// The good assignment 1.5 for two models, after `change`.
    fn made(seed: u8, change: fn(&mut Assignment<'_>, &mut [Entry; 2])) -> Vec<u8> {
        let at = EpochGeneration::new(1, 5);
        let mut entries = [
            entry("bearing", at),
            entry("pump", EpochGeneration::new(1, 2)),
        ];
        let mut assignment = Assignment {
            device: me(),
            at,
            issued_at: UnixSeconds(900),
            accept_by: UnixSeconds(1000),
            entries: List::default(),
        };
        change(&mut assignment, &mut entries);
        signed(
            &Assignment {
                entries: List::of(&entries),
                ..assignment
            },
            seed,
        )
        .1
    }

    fn good() -> Vec<u8> {
        made(DIRECTOR, |_, _| ())
    }

    fn accepted(epoch: u64, generation: u64, bytes: &[u8]) -> Option<Accepted> {
        let at = EpochGeneration::new(epoch, generation);
        Some(Accepted {
            at,
            digest: Digest::of(bytes),
        })
    }

    fn judge(
        bytes: &[u8],
        last: Option<Accepted>,
        unix: Option<UnixSeconds>,
    ) -> Result<EpochGeneration, NotAccepted> {
        let any = Assignment {
            device: me(),
            at: EpochGeneration::default(),
            issued_at: UnixSeconds(0),
            accept_by: UnixSeconds(0),
            entries: List::default(),
        };
        let director = signed(&any, DIRECTOR).0;
        let facts = Facts::<2> {
            epoch: Epoch(1),
            director: Keys {
                keys: [director].into_iter().collect(),
                threshold: 1,
            },
            ..Facts::default()
        };
        let mut scratch = [0; 8192];
        accept(bytes, &me(), &facts, last, unix, &mut scratch).map(|verified| verified.at)
    }

    #[test]
    fn each_attack_has_its_own_name() {
        let last = accepted(1, 4, b"before");
        let check = |attack: &str, bytes: &[u8], last, unix, expect: Result<(), NotAccepted>| {
            assert_eq!(judge(bytes, last, unix).map(|_| ()), expect, "{attack}");
        };
        check("none", &good(), last, NOW, Ok(()));
        check("none, the first one", &good(), None, NOW, Ok(()));

        let unknown = NotAccepted::Signature(Refused::UnknownKey);
        check("wrong key", &made(9, |_, _| ()), last, NOW, Err(unknown));
        let other = made(DIRECTOR, |a, _| {
            a.device = DeviceId::parse("press-08").expect("valid")
        });
        check(
            "other device",
            &other,
            last,
            NOW,
            Err(NotAccepted::OtherDevice),
        );
        for epoch in [0, 2] {
            let other = match epoch {
                0 => made(DIRECTOR, |a, _| a.at.epoch = Epoch(0)),
                _ => made(DIRECTOR, |a, _| a.at.epoch = Epoch(2)),
            };
            check(
                "other epoch",
                &other,
                last,
                NOW,
                Err(NotAccepted::OtherEpoch),
            );
        }

        let newer = accepted(1, 6, b"after");
        let old = NotAccepted::Old {
            accepted: EpochGeneration::new(1, 6),
        };
        check("old generation", &good(), newer, NOW, Err(old));
        let same = accepted(1, 5, &good());
        check(
            "same generation, same bytes",
            &good(),
            same,
            NOW,
            Err(NotAccepted::Repeated),
        );
        let forked = accepted(1, 5, b"other");
        check(
            "same generation, other bytes",
            &good(),
            forked,
            NOW,
            Err(NotAccepted::Forked),
        );
        let highest = accepted(0, u64::MAX, b"of the director before");
        check(
            "an epoch before at its maximum",
            &good(),
            highest,
            NOW,
            Ok(()),
        );

        let late = NotAccepted::Expired {
            accept_by: UnixSeconds(1000),
        };
        check("expired", &good(), last, Some(UnixSeconds(1001)), Err(late));
        check(
            "no trusted time",
            &good(),
            last,
            None,
            Err(NotAccepted::TimeUnknown),
        );

        let inconsistent = Err(NotAccepted::Inconsistent);
        let twice = made(DIRECTOR, |_, entries| {
            entries[1].model = entries[0].model.clone()
        });
        check("two entries for one model", &twice, last, NOW, inconsistent);
        let shadowed = made(DIRECTOR, |_, entries| {
            entries[1].model = entries[0].model.clone();
            entries[1].role = Role::Shadow;
        });
        check(
            "none, a shadow beside what serves",
            &shadowed,
            last,
            NOW,
            Ok(()),
        );
        let twice = made(DIRECTOR, |_, entries| {
            entries[1].model = entries[0].model.clone();
            entries.iter_mut().for_each(|e| e.role = Role::Shadow);
        });
        check("two shadows of one model", &twice, last, NOW, inconsistent);
        let future = made(DIRECTOR, |_, entries| {
            entries[1].since = EpochGeneration::new(1, 6)
        });
        check(
            "entry newer than its assignment",
            &future,
            last,
            NOW,
            inconsistent,
        );
        let future = made(DIRECTOR, |_, entries| entries[1].since.epoch = Epoch(2));
        check("entry of a later epoch", &future, last, NOW, inconsistent);
        let highest = made(DIRECTOR, |a, _| a.at.generation = Generation(u64::MAX));
        check("the highest generation", &highest, last, NOW, Ok(()));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_a_bad_signature_or_form() {
        let good = good();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let judged = judge(&bytes, None, NOW);
            assert!(
                matches!(judged, Err(NotAccepted::Signature(_))),
                "bit {bit}: {judged:?}"
            );
        }
    }

    /// Both are the director's: the signature of one, under the entries of the other.
    #[test]
    fn mixed_bundles_of_two_assignments_are_refused() {
        let one = good();
        let mut other = made(DIRECTOR, |_, entries| {
            entries[1].version = Version::parse("2.0.0").expect("valid");
        });
        assert_eq!(one.len(), other.len());
        let signature = one.len() - 64;
        other[signature..].copy_from_slice(&one[signature..]);
        let bad = NotAccepted::Signature(Refused::BadSignature);
        assert_eq!(judge(&other, None, NOW), Err(bad));
    }

    #[test]
    fn a_cut_assignment_is_refused() {
        let good = good();
        for end in 0..good.len() {
            let judged = judge(&good[..end], None, NOW);
            assert!(
                matches!(judged, Err(NotAccepted::Signature(_))),
                "{end}: {judged:?}"
            );
        }
    }

    #[test]
    fn every_reason_says_something_else() {
        let at = EpochGeneration::new(1, 6);
        let mut said = [
            NotAccepted::Signature(Refused::UnknownKey),
            NotAccepted::OtherDevice,
            NotAccepted::OtherEpoch,
            NotAccepted::Old { accepted: at },
            NotAccepted::Repeated,
            NotAccepted::Forked,
            NotAccepted::TimeUnknown,
            NotAccepted::Expired {
                accept_by: UnixSeconds(1000),
            },
            NotAccepted::Inconsistent,
        ]
        .map(|reason| format!("{reason}"));
        said.sort();
        assert!(said.windows(2).all(|pair| pair[0] != pair[1]), "{said:?}");
    }
}
