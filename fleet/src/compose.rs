//! From what a device shall run to the entries of its next assignment: pure.
//!
//! Never signs or stores; never changes an entry that says what it said before, so that one
//! model's rollout does not restart another's.

use muster_protocol::digest::Digest;
use muster_protocol::id::{Epoch, EpochGeneration, Generation, ModelId, Version};
use muster_protocol::limits::MODELS_MAX;
use muster_protocol::message::{Entry, Role, Settings};

/// What a device shall run of one model, in one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredRow {
    /// The model.
    pub model: ModelId,
    /// The version.
    pub version: Version,
    /// What it is there for.
    pub role: Role,
    /// Digest of its signed statement.
    pub statement: Digest,
    /// Size of that in bytes.
    pub statement_size: u32,
    /// Tightened limits.
    pub settings: Settings,
    /// Raised by a deliberate retry.
    pub attempt: u32,
    /// The rollout that wants it; zero when the device showed what it runs after a restore.
    pub rollout: i64,
}

/// An entry, with the attempt that it was composed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// The entry as it was signed.
    pub entry: Entry,
    /// Which deliberate retry.
    pub attempt: u32,
}

/// Why a device gets no new assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotCompose {
    /// More models than an assignment has entries.
    #[error("a device takes at most {MODELS_MAX} models, each shadow counted as one")]
    TooManyModels,
    /// The signed document would be larger than a device reads.
    #[error("the assignment would be larger than a device reads: use fewer models")]
    TooLarge,
    /// The generations of this epoch are used up.
    #[error("the generations of this epoch are used up: a new director epoch is needed")]
    GenerationsExhausted,
    /// The device has accepted an assignment of an epoch that this director is not of.
    #[error("the device follows the later director epoch {0}")]
    LaterEpoch(Epoch),
}

/// The place of the next assignment: above the newest composed one, above the one that the device
/// has accepted, and nowhere below the `floor` that a restore of the controller has raised in this
/// epoch. A floor of epoch 0 counts in every one.
///
/// # Errors
/// [`CannotCompose::GenerationsExhausted`] and [`CannotCompose::LaterEpoch`].
pub fn next_at(
    epoch: Epoch,
    newest: EpochGeneration,
    accepted: Option<EpochGeneration>,
    floor: EpochGeneration,
) -> Result<EpochGeneration, CannotCompose> {
    let highest = newest.max(accepted.unwrap_or_default());
    if highest.epoch > epoch {
        return Err(CannotCompose::LaterEpoch(highest.epoch));
    }
    let before = if highest.epoch == epoch {
        highest.generation.0
    } else {
        0
    };
    let generation = before
        .checked_add(1)
        .ok_or(CannotCompose::GenerationsExhausted)?;
    let floor = if counts_in(floor, epoch) {
        floor.generation.0
    } else {
        0
    };
    Ok(EpochGeneration {
        epoch,
        generation: Generation(generation.max(floor)),
    })
}

/// The floor that two make: the higher one of the later epoch, with those that count in every one.
#[must_use]
pub fn higher_floor(one: EpochGeneration, other: EpochGeneration) -> EpochGeneration {
    let epoch = one.epoch.max(other.epoch);
    let floors = [one, other].into_iter();
    let counting = floors.filter(|floor| counts_in(*floor, epoch));
    let generation = counting.map(|floor| floor.generation).max();
    EpochGeneration {
        epoch,
        generation: generation.unwrap_or_default(),
    }
}

fn counts_in(floor: EpochGeneration, epoch: Epoch) -> bool {
    floor.epoch == epoch || floor.epoch == Epoch(0)
}

/// The entries at `at`. One that is wanted as before, in the same attempt, keeps its `since`.
///
/// # Errors
/// [`CannotCompose::TooManyModels`].
pub fn entries(
    standing: &[StoredEntry],
    desired: &[DesiredRow],
    at: EpochGeneration,
) -> Result<Vec<StoredEntry>, CannotCompose> {
    if desired.len() > MODELS_MAX {
        return Err(CannotCompose::TooManyModels);
    }
    Ok(desired
        .iter()
        .map(|wanted| entry(standing, wanted, at))
        .collect())
}

fn entry(standing: &[StoredEntry], wanted: &DesiredRow, at: EpochGeneration) -> StoredEntry {
    let made = |since| StoredEntry {
        entry: Entry {
            model: wanted.model.clone(),
            version: wanted.version.clone(),
            statement: wanted.statement,
            statement_size: wanted.statement_size,
            role: wanted.role,
            since,
            settings: wanted.settings,
        },
        attempt: wanted.attempt,
    };
    let same = |entry: &Entry| entry.model == wanted.model && entry.role == wanted.role;
    let before = standing.iter().find(|stored| same(&stored.entry));
    let unchanged = before.filter(|stored| made(stored.entry.since) == **stored);
    unchanged.cloned().unwrap_or_else(|| made(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: EpochGeneration = EpochGeneration::new(1, 4);
    const AT: EpochGeneration = EpochGeneration::new(1, 9);

    fn wanted(model: &str, version: &str, attempt: u32) -> DesiredRow {
        DesiredRow {
            model: ModelId::parse(model).expect("valid"),
            version: Version::parse(version).expect("valid"),
            role: Role::Serve,
            statement: Digest::of(version.as_bytes()),
            statement_size: 300,
            settings: Settings::default(),
            attempt,
            rollout: 1,
        }
    }

    fn check(desired: &[DesiredRow], expect: &[(&str, EpochGeneration)]) {
        let standing = [wanted("a", "1.0.0", 0), wanted("b", "1.0.0", 0)];
        let standing = entries(&[], &standing, BEFORE).expect("few");
        let composed = entries(&standing, desired, AT).expect("few");
        let seen: Vec<_> = composed
            .iter()
            .map(|stored| (stored.entry.model.as_str(), stored.entry.since))
            .collect();
        assert_eq!(seen, expect);
    }

    #[test]
    fn only_what_changed_changes_its_since() {
        let (a, b) = (wanted("a", "1.0.0", 0), wanted("b", "1.0.0", 0));
        check(&[a.clone(), b.clone()], &[("a", BEFORE), ("b", BEFORE)]);
        check(
            &[wanted("a", "2.0.0", 0), b.clone()],
            &[("a", AT), ("b", BEFORE)],
        );
        check(std::slice::from_ref(&b), &[("b", BEFORE)]);
        check(
            &[a.clone(), b.clone(), wanted("c", "1.0.0", 0)],
            &[("a", BEFORE), ("b", BEFORE), ("c", AT)],
        );
        check(
            &[wanted("a", "1.0.0", 1), b.clone()],
            &[("a", AT), ("b", BEFORE)],
        );
        let settings = Settings {
            window_s: Some(10),
            ..Settings::default()
        };
        check(
            &[DesiredRow { settings, ..a }, b],
            &[("a", AT), ("b", BEFORE)],
        );
        check(&[], &[]);
    }

    #[test]
    fn a_shadow_restarts_nothing_and_is_restarted_by_nothing() {
        let a = wanted("a", "1.0.0", 0);
        let shadow = |version: &str| DesiredRow {
            role: Role::Shadow,
            ..wanted("a", version, 0)
        };
        let b = wanted("b", "1.0.0", 0);
        check(
            &[a.clone(), shadow("2.0.0"), b.clone()],
            &[("a", BEFORE), ("a", AT), ("b", BEFORE)],
        );
        let standing = entries(&[], &[a.clone(), shadow("2.0.0")], BEFORE).expect("few");
        let next = entries(&standing, &[wanted("a", "2.0.0", 0), shadow("2.0.0")], AT);
        let since: Vec<_> = next.expect("few").iter().map(|s| s.entry.since).collect();
        assert_eq!(since, [AT, BEFORE]);
    }

    #[test]
    fn more_models_than_entries_are_refused() {
        let many: Vec<_> = (0..=MODELS_MAX)
            .map(|n| wanted(&format!("m{n}"), "1.0.0", 0))
            .collect();
        assert_eq!(entries(&[], &many, AT), Err(CannotCompose::TooManyModels));
    }

    #[test]
    fn generations_only_grow() {
        let at = EpochGeneration::new;
        let check = |epoch, newest, accepted, expect| {
            assert_eq!(next_at(Epoch(epoch), newest, accepted, at(0, 0)), expect);
        };
        check(1, at(0, 0), None, Ok(at(1, 1)));
        check(1, at(1, 1), None, Ok(at(1, 2)));
        check(1, at(1, 5), Some(at(1, 3)), Ok(at(1, 6)));
        check(1, at(1, 5), Some(at(1, 8)), Ok(at(1, 9)));
        check(2, at(1, 5), Some(at(1, u64::MAX)), Ok(at(2, 1)));
        check(
            1,
            at(1, 5),
            Some(at(1, u64::MAX)),
            Err(CannotCompose::GenerationsExhausted),
        );
        check(
            1,
            at(1, 5),
            Some(at(2, 1)),
            Err(CannotCompose::LaterEpoch(Epoch(2))),
        );
    }

    #[test]
    fn no_generation_lies_below_the_floor_of_a_restore() {
        let at = EpochGeneration::new;
        let check = |epoch, newest, accepted, floor, expect| {
            assert_eq!(next_at(Epoch(epoch), newest, accepted, floor), Ok(expect));
        };
        let floor = at(1, 100);
        check(1, at(0, 0), None, floor, at(1, 100));
        check(1, at(1, 5), Some(at(1, 7)), floor, at(1, 100));
        check(1, at(1, 100), None, floor, at(1, 101));
        check(1, at(1, 5), Some(at(1, 200)), floor, at(1, 201));
        check(2, at(1, 5), None, at(0, 100), at(2, 100));
    }

    #[test]
    fn a_new_director_begins_anew_where_a_stolen_one_has_used_the_numbers_up() {
        let at = EpochGeneration::new;
        let (used_up, floor) = (at(1, u64::MAX), at(1, u64::MAX));
        let first = next_at(Epoch(2), at(1, 5), Some(used_up), floor);
        assert_eq!(first, Ok(at(2, 1)));
        let second = next_at(Epoch(2), at(2, 1), Some(used_up), floor);
        assert_eq!(second, Ok(at(2, 2)));
    }

    #[test]
    fn of_two_floors_the_one_of_the_later_epoch_counts() {
        let at = EpochGeneration::new;
        let check = |one, other, expect| {
            assert_eq!(higher_floor(one, other), expect);
            assert_eq!(higher_floor(other, one), expect);
        };
        check(at(1, 5), at(1, 9), at(1, 9));
        check(at(1, u64::MAX), at(2, 3), at(2, 3));
        check(at(0, 7), at(2, 3), at(2, 7));
        check(at(0, 7), at(0, 3), at(0, 7));
    }
}
