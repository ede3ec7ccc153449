//! Inside a transaction: what a rollout stands on, what the planner decides about it, and what
//! follows for devices.
//!
//! Never sends.

use std::collections::BTreeMap;

use muster_fleet::planner::{
    self, Dispatch, Inventory, Order, Plan, Policy, Record, Role, RollBack, Rollout, RolloutId,
    Situation, Told, ToldBack, Try,
};
use muster_fleet::ring_evidence;
use muster_protocol::id::{DeviceId, EpochGeneration, ModelId, Version};
use muster_protocol::message::{self, Settings};
use muster_protocol::time::UnixSeconds;

use super::super::rollouts::{assign, wish};
use super::{Made, Sight, evidence, facts, id_of, log, measurable};
use crate::controller::Error;
use crate::dispatch::Director;
use crate::store::{RolloutRow, RolloutToStore, Tx};

/// Devices that a line of the log names.
const NAMED_MAX: usize = 5;

/// What a rollout's absence is called.
pub(super) fn unplanned(rollout: i64) -> Error {
    Error::NotFound {
        what: format!("a rollout {rollout} by policy"),
    }
}

/// The first plan of a rollout that is not there yet.
pub(super) fn first_plan(
    tx: &Tx<'_>,
    rollout: i64,
    policy: Policy,
    now: UnixSeconds,
) -> Result<Plan, Error> {
    let refused = |why: String| Error::Refused { why };
    let gates = ring_evidence::gates(&policy).map_err(refused)?;
    if tx.statement(&policy.model, &policy.version)?.is_none() {
        let what = format!("the release {} {}", policy.model, policy.version);
        return Err(Error::NotFound { what });
    }
    let inventory = inventory(tx, id_of(rollout), &policy)?;
    measurable::check(tx, &policy, &gates, &inventory)?;
    let made = Plan::make(id_of(rollout), policy, &inventory, now);
    made.map_err(|error| refused(sentence(&error.to_string()).to_owned()))
}

/// Without its beginning: the command that was given says what failed.
fn sentence(error: &str) -> &str {
    error
        .split_once(": because ")
        .map_or(error, |(_, because)| because)
}

/// Begins a rollout; nothing moves before the first tick. A policy that a rollout follows already
/// begins no second one: whoever applies the files of a repository may do so again and again.
pub(super) fn begin(tx: &Tx<'_>, policy: Policy, now: UnixSeconds) -> Result<RolloutRow, Error> {
    for standing in tx.planned_that_go_on(Some(&policy.model))? {
        let rollout = standing.id.0.cast_signed();
        let plan = tx.plan(rollout, None)?;
        if plan.is_some_and(|plan| plan.policy == policy) {
            return tx.rollout(rollout)?.ok_or_else(|| unplanned(rollout));
        }
    }
    let rollout = tx.add_rollout(&wanted(&policy, &policy.version, None), now)?;
    let plan = first_plan(tx, rollout, policy, now)?;
    tx.begin_planned(&plan, &Rollout::begin(&plan, now))?;
    tx.rollout(rollout)?.ok_or_else(|| unplanned(rollout))
}

/// Gives an order.
pub(super) fn obey(
    tx: &Tx<'_>,
    rollout: i64,
    order: &Order,
    now: UnixSeconds,
) -> Result<(), Error> {
    let sight = sight(tx, rollout, now)?;
    let obeyed = planner::obey(&sight.plan, &sight.situation, order);
    let obeyed = obeyed.map_err(|refusal| Error::Conflict {
        why: format!("{}: hint: {}", refusal.because, refusal.hint),
    })?;
    tx.set_standing(&obeyed.rollout)?;
    if let Some(change) = &obeyed.change {
        let (kind, because) = (order.command().name(), &change.because.sentence);
        tracing::info!(rollout, "{}: because {because}", change.to.name());
        tx.add_decision(rollout, kind, because, &sight.record(), now)?;
    }
    Ok(())
}

/// What is known of a rollout now, under the plan that follows when the fleet has changed.
pub(super) fn sight(tx: &Tx<'_>, rollout: i64, now: UnixSeconds) -> Result<Sight, Error> {
    let standing = tx.planned(rollout)?.ok_or_else(|| unplanned(rollout))?;
    let plan = tx.plan(rollout, None)?.ok_or_else(|| unplanned(rollout))?;
    let policy = &plan.policy;
    let inventory = inventory(tx, plan.rollout, policy)?;
    let plan = plan.amended(&standing, &inventory, now).unwrap_or(plan);
    let evidence = match tx.released_by(rollout)? {
        Some(released) => evidence::of_rings(tx, &plan, &released, &inventory)?,
        None => Vec::new(),
    };
    let situation = Situation::of(&plan, &standing, &inventory, &evidence, now);
    Ok(Sight {
        plan,
        standing,
        inventory,
        situation,
    })
}

/// What is decided now, if that is anything.
pub(super) fn decided(
    tx: &Tx<'_>,
    rollout: i64,
    now: UnixSeconds,
) -> Result<Option<(Plan, Record)>, Error> {
    let sight = sight(tx, rollout, now)?;
    if sight.standing.state.is_terminal() {
        return Ok(None);
    }
    let (plan, standing) = (sight.plan.clone(), sight.standing.clone());
    let is_new = tx
        .plan(rollout, None)?
        .is_none_or(|kept| kept.number != plan.number);
    let record = sight.record();
    let nothing = record.decisions.is_empty() && record.decisions.rollout == standing;
    Ok((is_new || !nothing).then_some((plan, record)))
}

/// Makes so what is decided now.
pub(super) fn tick(
    tx: &Tx<'_>,
    director: &Director,
    rollout: i64,
    now: UnixSeconds,
) -> Result<Made, Error> {
    let Some((plan, record)) = decided(tx, rollout, now)? else {
        return Ok(Vec::new());
    };
    if tx.plan(rollout, Some(plan.number))?.is_none() {
        tx.add_plan(&plan)?;
    }
    let decisions = &record.decisions;
    let executor = Executor {
        tx,
        director,
        plan: &plan,
        rollout,
        now,
    };
    let mut made = Vec::new();
    for dispatch in &decisions.dispatch {
        made.extend(executor.dispatch(dispatch)?);
    }
    for back in &decisions.roll_back {
        made.extend(executor.roll_back(back)?);
    }
    tx.set_standing(&decisions.rollout)?;
    tx.add_decision(rollout, "tick", &because(&plan, &record), &record, now)?;
    log(rollout, &record, now);
    Ok(made)
}

/// In a line: each change, and who was told.
fn because(plan: &Plan, record: &Record) -> String {
    let decisions = &record.decisions;
    if decisions.is_empty() {
        let number = plan.number.0;
        return format!("plan {number}: {}", plan.because.sentence);
    }
    let mut parts: Vec<String> = decisions
        .changes
        .iter()
        .map(|change| format!("{}: {}", change.to.name(), change.because.sentence))
        .collect();
    let told = decisions.dispatch.iter().map(|told| &told.device);
    parts.extend(
        decisions
            .dispatch
            .first()
            .map(|first| format!("told {}: {}", few(told), first.because.sentence)),
    );
    let back = decisions.roll_back.iter().map(|back| &back.device);
    parts.extend(
        decisions
            .roll_back
            .first()
            .map(|first| format!("told {} to go back: {}", few(back), first.because.sentence)),
    );
    parts.join("; ")
}

/// The first few of them; the record has them all.
fn few<'a>(devices: impl ExactSizeIterator<Item = &'a DeviceId>) -> String {
    let more = devices.len().saturating_sub(NAMED_MAX);
    let named: Vec<&str> = devices.take(NAMED_MAX).map(DeviceId::as_str).collect();
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn inventory(tx: &Tx<'_>, rollout: RolloutId, policy: &Policy) -> Result<Inventory, Error> {
    let (version, role) = (&policy.version, policy.role);
    let rows = tx.facts(rollout.0.cast_signed(), &policy.model, role.into())?;
    let claims = claims(tx, rollout, policy)?;
    let facts = rows.into_iter().map(|row| {
        let claim = claims.get(&row.device).copied();
        facts::facts(row, rollout, version, role, claim)
    });
    Ok(Inventory::new(facts.collect()))
}

/// Devices that a newer rollout of the model, in the same role, is meant for.
fn claims(
    tx: &Tx<'_>,
    rollout: RolloutId,
    policy: &Policy,
) -> Result<BTreeMap<DeviceId, RolloutId>, Error> {
    let mut claims = BTreeMap::new();
    let going_on = tx.planned_that_go_on(Some(&policy.model))?;
    for standing in going_on.iter().filter(|standing| standing.id > rollout) {
        let newer = tx.plan(standing.id.0.cast_signed(), None)?;
        let newer = newer.filter(|newer| newer.policy.role == policy.role);
        let devices = newer.iter().flat_map(|newer| newer.claimed(standing));
        claims.extend(devices.map(|device| (device.clone(), standing.id)));
    }
    Ok(claims)
}

fn wanted(policy: &Policy, version: &Version, window_s: Option<u32>) -> RolloutToStore {
    RolloutToStore {
        model: policy.model.clone(),
        version: version.clone(),
        role: policy.role.into(),
        selector: policy.selector.to_string(),
        percent: 100,
        settings: Settings {
            probation_s: policy.on_device.probation_s,
            window_s,
            swap: policy.on_device.swap.map(Into::into),
            shadow: policy.shadow.map(Into::into),
        },
    }
}

struct Executor<'a> {
    tx: &'a Tx<'a>,
    director: &'a Director,
    plan: &'a Plan,
    rollout: i64,
    now: UnixSeconds,
}

impl Executor<'_> {
    fn dispatch(&self, dispatch: &Dispatch) -> Result<Made, Error> {
        let (tx, device, policy) = (self.tx, &dispatch.device, &self.plan.policy);
        let before = tx.told(self.rollout, device)?;
        let desired = tx.desired(device)?;
        let desired = desired
            .iter()
            .find(|row| self.is_ours(&row.model, row.role));
        let ring = policy.rings.get(dispatch.ring as usize);
        let wanted = wanted(policy, &policy.version, ring.and_then(|ring| ring.window_s));
        let same = desired.filter(|row| row.version == policy.version);
        let attempt = match (same, dispatch.r#try) {
            (None, _) => 0,
            (Some(row), Try::First) => row.attempt,
            (Some(row), Try::Again) => row.attempt.saturating_add(1),
        };
        wish(tx, device, self.rollout, &wanted, attempt)?;
        let made = assign(tx, self.director, device, self.now)?;
        let previous = match &before {
            // A shadow is taken off again.
            _ if policy.role == Role::Shadow => None,
            Some(told) => told.previous.clone(),
            // What it last ran well: what it shall run it may have refused. Also this very version:
            // going back must not take away what was there.
            None => {
                let (active, committed) = tx.serving(device, &policy.model)?;
                let ran = committed.or(active);
                ran.or_else(|| desired.map(|row| row.version.clone()))
            }
        };
        let again = u8::from(dispatch.r#try == Try::Again);
        let told = Told {
            ring: dispatch.ring,
            at: self.now,
            contact_at: None,
            since: self.since(device)?.unwrap_or_default(),
            retries: before.map_or(0, |told| told.retries.saturating_add(again)),
            previous,
            back: None,
        };
        tx.set_told(self.rollout, device, &policy.model, &told)?;
        Ok(made
            .map(|made| (device.clone(), made))
            .into_iter()
            .collect())
    }

    /// The version before is on the device: going back costs no bytes.
    fn roll_back(&self, back: &RollBack) -> Result<Made, Error> {
        let (tx, device, policy) = (self.tx, &back.device, &self.plan.policy);
        match &back.to {
            Some(version) => {
                let wanted = wanted(policy, version, None);
                tx.set_desired(device, self.rollout, &wanted, 0)?;
            }
            None => drop(tx.remove_desired(device, &policy.model, policy.role.into())?),
        }
        let made = assign(tx, self.director, device, self.now)?;
        let newest = tx.newest_at(device)?.unwrap_or_default();
        let since = self.since(device)?.unwrap_or(newest);
        if let Some(mut told) = tx.told(self.rollout, device)? {
            told.back = Some(ToldBack {
                at: self.now,
                contact_at: None,
                since,
            });
            tx.set_told(self.rollout, device, &policy.model, &told)?;
        }
        Ok(made
            .map(|made| (device.clone(), made))
            .into_iter()
            .collect())
    }

    /// Since when the entry of the model says what it says.
    fn since(&self, device: &DeviceId) -> Result<Option<EpochGeneration>, Error> {
        let entries = self.tx.newest_entries(device)?;
        let mut entries = entries.into_iter().map(|stored| stored.entry);
        let ours = entries.find(|entry| self.is_ours(&entry.model, entry.role));
        Ok(ours.map(|entry| entry.since))
    }

    fn is_ours(&self, model: &ModelId, role: message::Role) -> bool {
        let policy = &self.plan.policy;
        *model == policy.model && role == policy.role.into()
    }
}
