//! Devices with their keys, and receipts that they signed, for tests of evidence.

use ed25519_dalek::SigningKey;
use muster_protocol::cose;
use muster_protocol::digest::Digest;
use muster_protocol::id::{
    BootId, DeviceId, EpochGeneration, ModelId, Sequence, StreamId, Version,
};
use muster_protocol::message::{Document, Gap, GapReason, Measured, Receipt, Step};
use muster_protocol::time::{Millis, UnixSeconds};

use super::{Enrolled, EnrolmentLog};

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// An enrolment; `serial` tells two of one device apart.
pub(super) fn enrolled(device: &str, seed: u8, serial: &str, at: u64) -> Enrolled {
    Enrolled {
        device: DeviceId::parse(device).expect("valid"),
        document_key: key(seed).verifying_key().into(),
        tls_key: Digest([seed; 32]),
        serial: serial.to_owned(),
        at: UnixSeconds(at),
    }
}

/// `press-01` with key 1 at 100; `press-02` with key 2 at 200, and with key 3 at 300.
pub(super) fn log() -> EnrolmentLog {
    let mut log = EnrolmentLog::default();
    log.append(enrolled("press-01", 1, "a1", 100));
    log.append(enrolled("press-02", 2, "a2", 200));
    log.append(enrolled("press-02", 3, "a3", 300));
    log
}

/// A document of `device`, and who signs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Say {
    pub(super) device: &'static str,
    pub(super) seed: u8,
    pub(super) sequence: u64,
    pub(super) unix: Option<u64>,
    pub(super) step: Step,
}

impl Say {
    pub(super) fn of(device: &'static str, seed: u8, sequence: u64) -> Self {
        Self {
            device,
            seed,
            sequence,
            unix: Some(250),
            step: Step::Active,
        }
    }

    pub(super) fn signed(self) -> Vec<u8> {
        let mut document = self.document();
        document.receipt = Some(self.receipt());
        cose::seal_vec(&document, &key(self.seed))
    }

    /// The same number, but a gap in place of the receipt.
    pub(super) fn signed_gap(self) -> Vec<u8> {
        let mut document = self.document();
        document.gap = Some(Gap {
            model: None,
            reason: GapReason::Damaged,
            closed_windows: 0,
            calls: 0,
        });
        cose::seal_vec(&document, &key(self.seed))
    }

    fn document(&self) -> Document<'static> {
        Document {
            device: DeviceId::parse(self.device).expect("valid"),
            stream: StreamId([7; 8]),
            sequence: Sequence(self.sequence),
            boot: BootId([4; 8]),
            receipt: None,
            window: None,
            gap: None,
        }
    }

    fn receipt(&self) -> Receipt<'static> {
        Receipt {
            model: ModelId::parse("bearing").expect("valid"),
            version: Version::parse("1.0.0").expect("valid"),
            bundle: None,
            since: EpochGeneration::new(1, 1),
            accepted: EpochGeneration::new(1, 1),
            step: self.step,
            reason: None,
            detail: None,
            at: Millis(0),
            unix: self.unix.map(UnixSeconds),
            measured: Measured::default(),
            role: None,
        }
    }
}
