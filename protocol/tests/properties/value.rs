//! Values of the fields of documents, of every size that they may have.

use muster_protocol::digest::Digest;
use muster_protocol::id::{
    DeviceId, EpochGeneration, ModelId, Rank, Sequence, TargetClass, Version,
};
use muster_protocol::key::PublicKey;
use muster_protocol::message::{
    Entry, Gap, GapReason, Measured, Reason, Receipt, RejectReason, Rejected, Requirements,
    Revocation, Role, Settings, ShadowSettings, Statement, Step, Swap, What,
};
use muster_protocol::time::{Millis, UnixSeconds};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

pub fn device_id() -> impl Strategy<Value = DeviceId> {
    "[a-z0-9][a-z0-9-]{0,62}".prop_map(|text| DeviceId::parse(&text).expect("valid"))
}

pub fn model_id() -> impl Strategy<Value = ModelId> {
    "[a-z0-9][a-z0-9-]{0,62}".prop_map(|text| ModelId::parse(&text).expect("valid"))
}

pub fn target_class() -> impl Strategy<Value = TargetClass> {
    "[a-z0-9][a-z0-9-]{0,30}".prop_map(|text| TargetClass::parse(&text).expect("valid"))
}

pub fn version() -> impl Strategy<Value = Version> {
    let number = "(0|[1-9][0-9]{0,3})";
    let text = (number, number, number, "(-[a-z0-9]{1,8}(\\.[a-z]{1,4})?)?");
    text.prop_map(|(major, minor, patch, pre)| {
        Version::parse(&format!("{major}.{minor}.{patch}{pre}")).expect("valid")
    })
}

pub fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

pub fn public_key() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 32]>().prop_map(PublicKey)
}

pub fn unix() -> impl Strategy<Value = UnixSeconds> {
    any::<u64>().prop_map(UnixSeconds)
}

pub fn place_in_order() -> impl Strategy<Value = EpochGeneration> {
    any::<(u64, u64)>().prop_map(|(epoch, generation)| EpochGeneration::new(epoch, generation))
}

pub fn revocation() -> impl Strategy<Value = Revocation> {
    select(vec![Revocation::Stop, Revocation::Fallback])
}

pub fn rejected() -> impl Strategy<Value = Rejected> {
    let reasons = [
        RejectReason::Malformed,
        RejectReason::UnknownBody,
        RejectReason::WrongStream,
    ];
    (any::<u64>(), select(reasons.to_vec())).prop_map(|(sequence, reason)| Rejected {
        sequence: Sequence(sequence),
        reason,
    })
}

pub fn statement() -> impl Strategy<Value = Statement> {
    let requirements = any::<(u64, u64, u32)>().prop_map(|(peak, disk, level)| Requirements {
        peak_memory_bytes: peak,
        disk_bytes: disk,
        agent_level: level,
    });
    let names = (model_id(), version(), target_class());
    let numbers = (any::<(u32, u32)>(), digest(), requirements, unix());
    (names, numbers).prop_map(|((model, version, class), numbers)| {
        let ((rank, manifest_size), bundle, requirements, issued_at) = numbers;
        Statement {
            model,
            version,
            rank: Rank(rank),
            bundle,
            manifest_size,
            class,
            requirements,
            issued_at,
        }
    })
}

pub fn entry() -> impl Strategy<Value = Entry> {
    let settings = (
        any::<(Option<u32>, Option<u32>)>(),
        option::of(select(vec![Swap::Overlap, Swap::StopFirst])),
        option::of(any::<(Option<u32>, Option<u32>)>()),
    );
    let settings = settings.prop_map(|((probation_s, window_s), swap, shadow)| Settings {
        probation_s,
        window_s,
        swap,
        shadow: shadow.map(|(cpu_per_mille, sample_per_mille)| ShadowSettings {
            cpu_per_mille,
            sample_per_mille,
        }),
    });
    let role = select(vec![Role::Serve, Role::Shadow]);
    let statement = (digest(), any::<u32>());
    let all = (
        model_id(),
        version(),
        statement,
        role,
        place_in_order(),
        settings,
    );
    all.prop_map(|(model, version, statement, role, since, settings)| Entry {
        model,
        version,
        statement: statement.0,
        statement_size: statement.1,
        role,
        since,
        settings,
    })
}

pub fn gap() -> impl Strategy<Value = Gap> {
    let reasons = [
        GapReason::PowerCut,
        GapReason::Damaged,
        GapReason::StoreFull,
    ];
    let numbers = any::<(u32, u64)>();
    (option::of(model_id()), select(reasons.to_vec()), numbers).prop_map(
        |(model, reason, (closed_windows, calls))| Gap {
            model,
            reason,
            closed_windows,
            calls,
        },
    )
}

/// A receipt whose sentence comes later.
#[derive(Debug, Clone)]
pub struct Told(Receipt<'static>);

impl Told {
    pub fn with_detail<'b>(&'b self, detail: Option<&'b str>) -> Receipt<'b> {
        Receipt {
            detail,
            ..self.0.clone()
        }
    }
}

pub fn receipt() -> impl Strategy<Value = Told> {
    let steps = select(vec![
        Step::Offered,
        Step::Committed,
        Step::Refused,
        Step::Recovered,
        Step::Shadowing,
    ]);
    let reasons = option::of(select(vec![
        Reason::StatementSignature,
        Reason::WrongOutput,
        Reason::Expired,
    ]));
    let names = (model_id(), version(), option::of(digest()));
    let when = (
        place_in_order(),
        place_in_order(),
        any::<u64>(),
        option::of(unix()),
    );
    let roles = option::of(select(vec![Role::Serve, Role::Shadow]));
    (names, when, steps, reasons, measured(), roles).prop_map(|told| {
        let (names, when, step, reason, measured, role) = told;
        let (model, version, bundle) = names;
        let (since, accepted, at, unix) = when;
        Told(Receipt {
            model,
            version,
            bundle,
            since,
            accepted,
            step,
            reason,
            detail: None,
            at: Millis(at),
            unix,
            measured,
            role,
        })
    })
}

fn measured() -> impl Strategy<Value = Measured> {
    any::<(
        Option<u32>,
        Option<u32>,
        Option<u64>,
        Option<u64>,
        Option<u64>,
    )>()
    .prop_map(
        |(load_ms, latency_us, peak_memory_bytes, fetched_bytes, written_bytes)| Measured {
            load_ms,
            latency_us,
            peak_memory_bytes,
            fetched_bytes,
            written_bytes,
        },
    )
}

/// What is wanted, with a role that it owns.
#[derive(Debug, Clone)]
pub enum Wanted {
    Metadata(String, Option<u64>, u64),
    Blob(Digest, u32, u32),
}

impl Wanted {
    pub fn borrow(&self) -> What<'_> {
        match self {
            Self::Metadata(role, version, offset) => What::Metadata {
                role,
                version: *version,
                offset: *offset,
            },
            Self::Blob(digest, index, piece_size) => What::Blob {
                digest: *digest,
                index: *index,
                piece_size: *piece_size,
            },
        }
    }
}

pub fn what() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        (".{0,80}", any::<(Option<u64>, u64)>())
            .prop_map(|(role, (version, offset))| Wanted::Metadata(role, version, offset)),
        (digest(), any::<(u32, u32)>())
            .prop_map(|(digest, (index, piece_size))| Wanted::Blob(digest, index, piece_size)),
    ]
}
