//! What tasks are given in tests. Names no program and no model: nothing starts by it.

use super::{Features, Plan};
use crate::config::BudgetConfig;
use crate::infer::Example;
use crate::seat::Seat;
use crate::worker::{Priority, WorkerLimits};
use muster_device::updater::Release;
use muster_protocol::bundle::{Probabilities, Reference};
use muster_protocol::cbor::{self, List};
use muster_protocol::digest::Digest;
use muster_protocol::id::{EpochGeneration, ModelId, Rank, Version};
use muster_protocol::message::{Role, Scores};
use std::path::PathBuf;
use std::sync::Arc;

/// A plan of a bundle of this digest, which counts no features.
pub(super) fn plan(role: Role, bundle: u8) -> Plan {
    let priority = match role {
        Role::Serve => Priority::Usual,
        Role::Shadow => Priority::Lowest,
    };
    Plan {
        seat: Seat {
            model: ModelId::parse("scorer").expect("valid"),
            role,
        },
        release: Release {
            version: Version::parse("1.0.0").expect("valid"),
            rank: Rank(1),
            statement: Digest([bundle; 32]),
            bundle: Digest([bundle; 32]),
            manifest_size: 300,
            peak_memory_bytes: 0,
            since: EpochGeneration::new(1, bundle.into()),
        },
        program: PathBuf::new(),
        model_path: PathBuf::new(),
        model_digest: Digest::of(b""),
        model_bytes: 0,
        example: Example::default(),
        limits: WorkerLimits {
            memory_bytes_max: 512 << 20,
            cpu_seconds_max: None,
            load_timeout_ms: 30_000,
            run_timeout_ms: 30_000,
            priority,
        },
        features: Features::default(),
        predictions: Arc::default(),
        budget: BudgetConfig::default(),
        latency_objective_us: None,
        window_ms: 3_600_000,
        checkpoint_ms: 3_600_000,
    }
}

/// The features of a classifier: none, but the first output is the probability of class 1.
pub(super) fn classifier() -> Features {
    let reference = cbor::to_vec(&Reference {
        rows: 0,
        features: List::default(),
        probabilities: Some(Probabilities {
            tensor: 0,
            scores: 1,
            positive: None,
            counts: Scores {
                bins: List::default(),
                classes: List::default(),
                improper: 0,
            },
            labels: List::default(),
            edges: List::of(&[1 << 15]),
        }),
        variation: None,
    });
    Features::of(Digest::of(&reference), &reference).expect("a reference")
}
