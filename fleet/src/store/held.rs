//! Devices that a restored controller must hear before it tells them anything. Never decides what
//! a device has to show.

use muster_fleet::compose::higher_floor;
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, EpochGeneration, Nonce};
use muster_protocol::time::UnixSeconds;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::column::{self, bits};
use super::{StoreError, Tx};

/// Why a device is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldReason {
    /// The controller was restored from a backup, which may be older than what the device has.
    Restored,
    /// The device knows a later assignment than this controller: an old state was put in place.
    Behind,
}

impl HoldReason {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::Behind => "behind",
        }
    }
}

/// What a device said it has accepted, in answer to a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Place of the assignment.
    pub(crate) at: EpochGeneration,
    /// Digest of its signed bytes.
    pub(crate) digest: Digest,
}

/// A device that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldRow {
    /// The newest rollout when it was held.
    pub(crate) rollouts_before: i64,
    /// What its next hello must repeat to count.
    pub(crate) challenge: Option<Nonce>,
    /// What it is asked to show.
    pub(crate) claim: Option<Claim>,
}

/// A held device as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Held {
    /// `restored` or `behind`.
    pub(crate) reason: String,
    /// What ends it: `hello`, `assignment` (its own, shown on request) or `operator`.
    pub(crate) waits_for: &'static str,
    /// Since when, unix seconds.
    pub(crate) since: u64,
    /// Why it waits for the operator.
    pub(crate) refused: Option<String>,
}

/// Columns of [`read`], after those of the device.
pub(super) const COLUMNS: &str = "h.reason, h.held_at, h.claimed_epoch IS NOT NULL, h.refused";

impl Tx<'_> {
    /// Whether and how a device is held.
    pub(crate) fn held(&self, device: &DeviceId) -> Result<Option<HeldRow>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT rollouts_before, challenge, claimed_epoch, claimed_generation, claimed_digest
             FROM held WHERE device = ?",
        )?;
        let row = |row: &Row<'_>| {
            let digest = column::maybe_digest(row, 4)?;
            let claim = digest.map(|digest| {
                let at = column::pair(row, 2)?;
                Ok::<_, rusqlite::Error>(Claim { at, digest })
            });
            Ok(HeldRow {
                rollouts_before: row.get(0)?,
                challenge: row.get::<_, Option<[u8; 16]>>(1)?.map(Nonce),
                claim: claim.transpose()?,
            })
        };
        Ok(statement.query_row([device.as_str()], row).optional()?)
    }

    /// Holds a device; one that is held stays so.
    pub(crate) fn hold(
        &self,
        device: &DeviceId,
        reason: HoldReason,
        now: UnixSeconds,
    ) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO held (device, reason, held_at, rollouts_before)
             VALUES (?, ?, ?, (SELECT COALESCE(MAX(rollout), 0) FROM rollouts))
             ON CONFLICT DO NOTHING",
            params![device.as_str(), reason.as_str(), bits(now.0)],
        )?;
        Ok(())
    }

    /// The next hello of a held device counts if it repeats this; none when one did.
    pub(crate) fn set_challenge(
        &self,
        device: &DeviceId,
        challenge: Option<Nonce>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE held SET challenge = ?2 WHERE device = ?1";
        let challenge = challenge.map(|nonce| nonce.0);
        self.0.execute(sql, params![device.as_str(), challenge])?;
        Ok(())
    }

    /// A hello that counted said this.
    pub(crate) fn set_claim(&self, device: &DeviceId, claim: Claim) -> Result<(), StoreError> {
        let at = claim.at;
        self.0.execute(
            "UPDATE held SET claimed_epoch = ?2, claimed_generation = ?3, claimed_digest = ?4,
             refused = NULL WHERE device = ?1",
            params![
                device.as_str(),
                bits(at.epoch.0),
                bits(at.generation.0),
                claim.digest.0
            ],
        )?;
        Ok(())
    }

    /// What the device has cannot be adopted: a person must look at it.
    pub(crate) fn set_refused(&self, device: &DeviceId, because: &str) -> Result<(), StoreError> {
        let sql = "UPDATE held SET refused = ?2 WHERE device = ?1";
        self.0.execute(sql, params![device.as_str(), because])?;
        Ok(())
    }

    /// The device is held no longer; whether it was.
    pub(crate) fn end_hold(&self, device: &DeviceId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM held WHERE device = ?";
        Ok(self.0.execute(sql, [device.as_str()])? == 1)
    }

    /// The lowest generation that the next assignment of a device may have, in the epoch that it
    /// names; with epoch 0 in every one.
    pub(crate) fn generation_floor(
        &self,
        device: &DeviceId,
    ) -> Result<EpochGeneration, StoreError> {
        let sql = "SELECT generation_floor_epoch, generation_floor FROM devices WHERE device = ?";
        let floor = self
            .0
            .query_row(sql, [device.as_str()], |row| column::pair(row, 0));
        Ok(floor.optional()?.unwrap_or_default())
    }

    /// Raises [`Tx::generation_floor`]; it never falls.
    pub(crate) fn raise_generation_floor(
        &self,
        device: &DeviceId,
        floor: EpochGeneration,
    ) -> Result<(), StoreError> {
        // Compared here: the columns hold bits, which SQL would take for negative numbers.
        let floor = higher_floor(self.generation_floor(device)?, floor);
        let sql = "UPDATE devices SET generation_floor_epoch = ?2, generation_floor = ?3
                   WHERE device = ?1";
        let (epoch, generation) = (bits(floor.epoch.0), bits(floor.generation.0));
        self.0
            .execute(sql, params![device.as_str(), epoch, generation])?;
        Ok(())
    }
}

/// Reads [`COLUMNS`] from `first` on.
pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Held>> {
    let Some(reason) = row.get::<_, Option<String>>(first)? else {
        return Ok(None);
    };
    let (claimed, refused): (bool, Option<String>) = (row.get(first + 2)?, row.get(first + 3)?);
    let waits_for = match (&refused, claimed) {
        (Some(_), _) => "operator",
        (None, true) => "assignment",
        (None, false) => "hello",
    };
    Ok(Some(Held {
        reason,
        waits_for,
        since: column::number(row, first + 1)?,
        refused,
    }))
}
