//! Rollouts: planned by a pure function, made so in one transaction with the assignments that
//! follow from them. Never sends before the commit.

use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::message::Role;
use muster_protocol::time::UnixSeconds;

use super::{Controller, Error};
use crate::clock;
use crate::dispatch::{Director, DispatchError, When, dispatch, dispatch_one_of_many};
use crate::rollout::{self, Members, NewRollout, Plan, Retry};
use crate::store::{DesiredRow, Page, Paged, RolloutRow, RolloutToStore, StoredAssignment, Tx};

impl Controller {
    /// What a rollout would do.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a version that is not published, [`Error::Refused`] for one whose card
    /// lacks what this fleet requires.
    pub(crate) async fn plan_rollout(&self, new: NewRollout) -> Result<Plan, Error> {
        self.check_card(&new.model, &new.version).await?;
        self.store
            .read(move |tx| Ok(members(tx, &new)?.plan(&new)))
            .await
    }

    /// Begins a rollout: it has the say over its model on its devices from now on.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a version that is not published, [`Error::Conflict`] when it
    /// reaches no device, [`Error::Refused`] when an assignment cannot be composed, or as for
    /// [`Controller::plan_rollout`].
    pub(crate) async fn create_rollout(&self, new: NewRollout) -> Result<RolloutRow, Error> {
        self.check_card(&new.model, &new.version).await?;
        let (director, now) = (self.director(), clock::now());
        let work = move |tx: &Tx<'_>| create(tx, &director, &new, now);
        let (row, assignments) = self.store.write(work).await?;
        self.send_assignments(assignments).await;
        Ok(row)
    }

    /// Takes a model off a device, or only its shadow: its next assignment no longer names it.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a device that is not there or shall not run the model,
    /// [`Error::Conflict`] for one that is held: what it runs is not known yet.
    pub(crate) async fn unassign(
        &self,
        device: DeviceId,
        model: ModelId,
        role: Role,
    ) -> Result<(), Error> {
        let (director, now) = (self.director(), clock::now());
        let work = move |tx: &Tx<'_>| -> Result<_, Error> {
            let assignment = take_off(tx, &director, &device, (&model, role), now)?;
            Ok(assignment.map(|assignment| (device, assignment)))
        };
        let made = self.store.write(work).await?;
        self.send_assignments(made.into_iter().collect()).await;
        Ok(())
    }

    /// Ends the hold of a device without its word: what the store wants of it is composed anew, and
    /// it may go back to that.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a device that is not there, [`Error::Conflict`] for one that is not
    /// held, [`Error::Refused`] when an assignment cannot be composed.
    pub(crate) async fn release_hold(&self, device: DeviceId) -> Result<(), Error> {
        let (director, now) = (self.director(), clock::now());
        let work = move |tx: &Tx<'_>| -> Result<_, Error> {
            if tx.device(&device)?.is_none() {
                let what = format!("the device {device}");
                return Err(Error::NotFound { what });
            }
            if !tx.end_hold(&device)? {
                let why = format!("the device {device} is not held");
                return Err(Error::Conflict { why });
            }
            let made = dispatch(tx, &director, &device, When::Always, now)?;
            Ok(made.map(|assignment| (device, assignment)))
        };
        let made = self.store.write(work).await?;
        self.send_assignments(made.into_iter().collect()).await;
        Ok(())
    }

    /// Rollouts in the order in which they were made.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn rollouts(&self, page: Page) -> Result<Paged<RolloutRow>, Error> {
        self.store.read(move |tx| Ok(tx.rollouts(&page)?)).await
    }

    /// One rollout.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) async fn rollout(&self, rollout: i64) -> Result<RolloutRow, Error> {
        let found = self
            .store
            .read::<_, Error>(move |tx| Ok(tx.rollout(rollout)?))
            .await?;
        found.ok_or_else(|| Error::NotFound {
            what: format!("rollout {rollout}"),
        })
    }
}

fn members(tx: &Tx<'_>, new: &NewRollout) -> Result<Members, Error> {
    if tx.statement(&new.model, &new.version)?.is_none() {
        let what = format!("the release {} {}", new.model, new.version);
        return Err(Error::NotFound { what });
    }
    Ok(rollout::members(new, &tx.inventory()?))
}

type Made = Vec<(DeviceId, StoredAssignment)>;

fn create(
    tx: &Tx<'_>,
    director: &Director,
    new: &NewRollout,
    now: UnixSeconds,
) -> Result<(RolloutRow, Made), Error> {
    let Members { matched, devices } = members(tx, new)?;
    if devices.is_empty() {
        return Err(reaches_nobody(new, matched));
    }
    let wanted = RolloutToStore {
        model: new.model.clone(),
        version: new.version.clone(),
        role: Role::Serve,
        selector: new.selector.to_string(),
        percent: new.percent.into(),
        settings: new.settings.into(),
    };
    let rollout = tx.add_rollout(&wanted, now)?;
    let mut made = Vec::new();
    for device in devices {
        let attempt = attempt(tx, &device, new)?;
        wish(tx, &device, rollout, &wanted, attempt)?;
        let assignment = assign(tx, director, &device, now)?;
        made.extend(assignment.map(|assignment| (device, assignment)));
    }
    let missing = || Error::NotFound {
        what: format!("rollout {rollout}"),
    };
    Ok((tx.rollout(rollout)?.ok_or_else(missing)?, made))
}

fn reaches_nobody(new: &NewRollout, matched: usize) -> Error {
    let percent = u8::from(new.percent);
    let why = match new.selector.to_string() {
        all if all.is_empty() && matched == 0 => "no device is enrolled".to_owned(),
        some if matched == 0 => format!("the selector {some:?} matches no device"),
        _ => format!("{percent} % of {matched} devices is none"),
    };
    Error::Conflict { why }
}

/// What a device shall run from now on. What serves anew ends a shadow: that was compared with what
/// served until now.
pub(super) fn wish(
    tx: &Tx<'_>,
    device: &DeviceId,
    rollout: i64,
    wanted: &RolloutToStore,
    attempt: u32,
) -> Result<(), Error> {
    tx.set_desired(device, rollout, wanted, attempt)?;
    if wanted.role == Role::Serve {
        tx.remove_desired(device, &wanted.model, Role::Shadow)?;
    }
    Ok(())
}

/// The next assignment of a device; what it cannot be composed for names the device.
pub(super) fn assign(
    tx: &Tx<'_>,
    director: &Director,
    device: &DeviceId,
    now: UnixSeconds,
) -> Result<Option<StoredAssignment>, Error> {
    dispatch_one_of_many(tx, director, device, When::Changed, now).map_err(|error| match error {
        DispatchError::Compose(why) => Error::Refused {
            why: format!("{device}: {why}"),
        },
        DispatchError::Store(error) => Error::Store(error),
    })
}

fn take_off(
    tx: &Tx<'_>,
    director: &Director,
    device: &DeviceId,
    (model, role): (&ModelId, Role),
    now: UnixSeconds,
) -> Result<Option<StoredAssignment>, Error> {
    if tx.held(device)?.is_some() {
        let why = format!(
            "the device {device} is held until it has shown what it runs: wait for its hello"
        );
        return Err(Error::Conflict { why });
    }
    if !tx.remove_desired(device, model, role)? {
        let what = match role {
            Role::Serve => format!("the model {model} on the device {device}"),
            Role::Shadow => format!("a shadow of {model} on the device {device}"),
        };
        return Err(Error::NotFound { what });
    }
    // Nothing is left that it could be compared with.
    tx.remove_desired(device, model, Role::Shadow)?;
    assign(tx, director, device, now)
}

/// The attempt of a device: raised by a deliberate retry of the version that it has.
fn attempt(tx: &Tx<'_>, device: &DeviceId, new: &NewRollout) -> Result<u32, Error> {
    let desired = tx.desired(device)?;
    let serves = |row: &&DesiredRow| row.model == new.model && row.role == Role::Serve;
    let before = desired.iter().find(serves);
    let before = before.filter(|row| row.version == new.version);
    Ok(match (before, new.retry) {
        (None, Retry::Never | Retry::Again) => 0,
        (Some(row), Retry::Never) => row.attempt,
        (Some(row), Retry::Again) => row.attempt.saturating_add(1),
    })
}

#[cfg(test)]
mod tests;
