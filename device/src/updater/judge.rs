//! Whether a release may run here, before a byte of it is downloaded.
//!
//! Pure: a statement, facts and capabilities in, a release or a verdict out.

#![expect(clippy::result_large_err, reason = "there is no heap to box in")]

use super::{Capabilities, Listing, Release, Verdict};
use crate::facts::View;
use core::fmt::Write;
use muster_protocol::cose::{self, Verified};
use muster_protocol::id::Rank;
use muster_protocol::limits::LINUX_DOCUMENT_BYTES_MAX;
use muster_protocol::message::statement::AGENT_LEVEL;
use muster_protocol::message::{Entry, Reason, Statement};

/// Scratch space for a statement of the largest size.
const SCRATCH_BYTES: usize = cose::scratch_len(LINUX_DOCUMENT_BYTES_MAX);

/// Judges a signed statement against the entry that names it.
pub(super) fn statement(
    bytes: &[u8],
    entry: &Entry,
    listing: Listing,
    capabilities: &Capabilities,
    floor_seen: Rank,
    facts: &View<'_>,
) -> Result<Release, Verdict> {
    let mut scratch = [0; SCRATCH_BYTES];
    let opened = cose::open::<Statement>(bytes, facts.release, &mut scratch)
        .map_err(|refused| verdict(Reason::StatementSignature, format_args!("{refused}")))?;
    let named = (&opened.model, &opened.version) == (&entry.model, &entry.version);
    require(named, Reason::StatementMismatch, || {
        format(format_args!(
            "it is signed for {} {}",
            opened.model, opened.version
        ))
    })?;
    require(listing != Listing::Absent, Reason::NotListed, || {
        format(format_args!("signed metadata does not list this statement"))
    })?;
    let release = release(&opened, entry);
    authority(&release, floor_seen, facts)?;
    machine(&opened, capabilities)?;
    Ok(release)
}

/// Floors and revocations: judged again at every step that could make a release serve.
pub(super) fn authority(
    release: &Release,
    floor_seen: Rank,
    facts: &View<'_>,
) -> Result<(), Verdict> {
    let floor = floor_seen.max(facts.floor);
    require(release.rank >= floor, Reason::BelowFloor, || {
        format(format_args!(
            "its rank is {}, the floor is {floor}",
            release.rank
        ))
    })?;
    require(
        facts.revocation(&release.bundle).is_none(),
        Reason::Revoked,
        || format(format_args!("fleet.json revokes {}", release.bundle)),
    )
}

fn machine(statement: &Statement, capabilities: &Capabilities) -> Result<(), Verdict> {
    let needs = &statement.requirements;
    let class = statement.class.as_str();
    require(
        class == "any" || statement.class == capabilities.class,
        Reason::TargetClass,
        || {
            format(format_args!(
                "it is for {class}, this machine is {}",
                capabilities.class
            ))
        },
    )?;
    require(
        needs.agent_level <= AGENT_LEVEL,
        Reason::AgentTooOld,
        || {
            format(format_args!(
                "it needs agent level {}, this is {AGENT_LEVEL}",
                needs.agent_level
            ))
        },
    )?;
    let (need, have) = (needs.peak_memory_bytes, capabilities.memory_bytes);
    require(need <= have, Reason::Memory, || {
        format(format_args!(
            "it plans {need} bytes of memory, {have} are left beside the others"
        ))
    })?;
    let (need, have) = (needs.disk_bytes, capabilities.disk_bytes);
    require(need <= have, Reason::Disk, || {
        format(format_args!(
            "it needs {need} bytes of disk, {have} are left"
        ))
    })
}

fn release(statement: &Verified<Statement>, entry: &Entry) -> Release {
    Release {
        version: statement.version.clone(),
        rank: statement.rank,
        statement: entry.statement,
        bundle: statement.bundle,
        manifest_size: statement.manifest_size,
        peak_memory_bytes: statement.requirements.peak_memory_bytes,
        since: entry.since,
    }
}

fn require(
    holds: bool,
    reason: Reason,
    sentence: impl FnOnce() -> super::Detail,
) -> Result<(), Verdict> {
    if holds {
        Ok(())
    } else {
        Err(Verdict {
            reason,
            detail: sentence(),
        })
    }
}

fn verdict(reason: Reason, sentence: core::fmt::Arguments<'_>) -> Verdict {
    Verdict {
        reason,
        detail: format(sentence),
    }
}

fn format(sentence: core::fmt::Arguments<'_>) -> super::Detail {
    let mut detail = super::Detail::new();
    // Every sentence above fits; a longer one would be cut at a part.
    let _ = detail.write_fmt(sentence);
    detail
}
