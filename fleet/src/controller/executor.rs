//! Makes so what the planner decides: asks it every few seconds, and after each order.
//!
//! Decides nothing itself. A decision, its record and the assignments that follow from it are
//! committed together, and sent afterwards; a crash in between loses none of them.

mod evidence;
mod facts;
mod make;
mod measurable;
mod shadows;

use muster_fleet::planner::{
    self, DeviceExplanation, Order, Plan, Policy, Record, Rollout, RolloutExplanation, RolloutId,
    Situation,
};
use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;
use serde::Serialize;

use super::{Controller, Error};
use crate::clock;
use crate::dispatch::Director;
use crate::store::{DecisionRow, Page, Paged, RolloutRow, StoredAssignment, Tx};

type Made = Vec<(DeviceId, StoredAssignment)>;

/// Where a rollout stands, and why.
#[derive(Debug, Serialize)]
pub(crate) struct Explained {
    /// Its number.
    pub(crate) rollout: u64,
    /// The model.
    pub(crate) model: String,
    /// The version.
    pub(crate) version: String,
    /// What it is there for.
    pub(crate) role: planner::Role,
    /// The plan that it follows.
    pub(crate) plan: u32,
    /// Its state in a word, or two.
    pub(crate) stands: &'static str,
    /// Whether nothing follows any more.
    pub(crate) ended: bool,
    /// Since when it is in its state, unix seconds.
    pub(crate) since: u64,
    /// The rest.
    #[serde(flatten)]
    pub(crate) explanation: RolloutExplanation,
    /// What gates say, by ring.
    pub(crate) gates: Vec<planner::RingEvidence>,
    /// How the shadows of each ring compare; none where the version serves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) shadows: Vec<shadows::RingShadow>,
}

/// Where a device stands in a rollout, and why.
#[derive(Debug, Serialize)]
pub(crate) struct DeviceExplained {
    /// The rollout.
    pub(crate) rollout: u64,
    /// The model.
    pub(crate) model: String,
    /// The version.
    pub(crate) version: String,
    /// What it is there for.
    pub(crate) role: planner::Role,
    /// The rest.
    #[serde(flatten)]
    pub(crate) explanation: DeviceExplanation,
}

impl Controller {
    /// What would come of a policy.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a version that is not published, [`Error::Refused`] for a policy
    /// that cannot be acted on, or a version whose card lacks what this fleet requires.
    pub(crate) async fn plan_policy(&self, policy: Policy) -> Result<Plan, Error> {
        self.check_card(&policy.model, &policy.version).await?;
        let now = clock::now();
        let work = move |tx: &Tx<'_>| make::first_plan(tx, tx.next_rollout()?, policy, now);
        self.store.read(work).await
    }

    /// Begins a rollout by a policy. What may move at once does.
    ///
    /// # Errors
    /// As [`Controller::plan_policy`].
    pub(crate) async fn apply_policy(&self, policy: Policy) -> Result<RolloutRow, Error> {
        self.check_card(&policy.model, &policy.version).await?;
        let now = clock::now();
        let begin = move |tx: &Tx<'_>| make::begin(tx, policy, now);
        let row = self.store.write(begin).await?;
        self.tick_rollout(row.rollout).await?;
        Ok(row)
    }

    /// Gives an order to a rollout; what may move because of it does.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a rollout without a policy, [`Error::Conflict`] for an order that
    /// makes no sense now.
    pub(crate) async fn order_rollout(&self, rollout: i64, order: Order) -> Result<(), Error> {
        // It stands for people where it will stand after the next tick.
        self.tick_rollout(rollout).await?;
        let now = clock::now();
        let obey = move |tx: &Tx<'_>| make::obey(tx, rollout, &order, now);
        self.store.write(obey).await?;
        self.tick_rollout(rollout).await
    }

    /// Lets every rollout go on that can.
    pub(crate) async fn tick_rollouts(&self) {
        let found = self.store.read(|tx| tx.planned_that_go_on(None)).await;
        let rollouts = found.unwrap_or_else(|error| {
            tracing::error!("failed to look at the rollouts: because {error}");
            Vec::new()
        });
        for rollout in rollouts {
            let number = rollout.id.0.cast_signed();
            if let Err(error) = self.tick_rollout(number).await {
                tracing::error!(
                    rollout = number,
                    "failed to let it go on: because {error}: hint: look at `muster rollout explain`"
                );
            }
        }
    }

    async fn tick_rollout(&self, rollout: i64) -> Result<(), Error> {
        let now = clock::now();
        let idle = move |tx: &Tx<'_>| Ok::<_, Error>(make::decided(tx, rollout, now)?.is_none());
        // Looking does not keep devices from being heard.
        if self.store.read(idle).await? {
            return Ok(());
        }
        let director: Director = self.director();
        let work = move |tx: &Tx<'_>| make::tick(tx, &director, rollout, now);
        let made = self.store.write(work).await?;
        self.send_assignments(made).await;
        Ok(())
    }

    /// Where a rollout stands, and why.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a rollout without a policy.
    pub(crate) async fn explain_rollout(&self, rollout: i64) -> Result<Explained, Error> {
        let now = clock::now();
        let work = move |tx: &Tx<'_>| {
            let sight = make::sight(tx, rollout, now)?;
            let shadows = shadows::of_rings(tx, &sight.plan)?;
            Ok(explained(&sight, shadows))
        };
        self.store.read(work).await
    }

    /// Where a device stands, and why: in every rollout by policy that goes on, and in the newest of
    /// each model that has told it something.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a device that is not enrolled.
    pub(crate) async fn explain_device(
        &self,
        device: DeviceId,
    ) -> Result<Vec<DeviceExplained>, Error> {
        let now = clock::now();
        let work = move |tx: &Tx<'_>| {
            if tx.device(&device)?.is_none() {
                let what = format!("the device {device}");
                return Err(Error::NotFound { what });
            }
            let mut rollouts = tx.planned_that_go_on(None)?;
            for ended in tx.planned_that_ended_last()? {
                let told = tx.told(ended.id.0.cast_signed(), &device)?;
                rollouts.extend(told.map(|_| ended));
            }
            let explained = rollouts.iter().map(|rollout| {
                let sight = make::sight(tx, rollout.id.0.cast_signed(), now)?;
                Ok(device_explained(&sight, &device))
            });
            explained.collect()
        };
        self.store.read(work).await
    }

    /// The newest plan of a rollout.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a rollout without a policy.
    pub(crate) async fn plan_of(&self, rollout: i64) -> Result<Plan, Error> {
        let found: Option<Plan> = self
            .store
            .read(move |tx| Ok::<_, Error>(tx.plan(rollout, None)?))
            .await?;
        found.ok_or_else(|| make::unplanned(rollout))
    }

    /// What was decided about a rollout, the oldest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn decisions(
        &self,
        rollout: i64,
        page: Page,
    ) -> Result<Paged<DecisionRow>, Error> {
        let work = move |tx: &Tx<'_>| Ok(tx.decisions(rollout, &page)?);
        self.store.read(work).await
    }

    /// Decides everything about a rollout once more, from what was written down: the number of
    /// decisions, and those of them that come out differently.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn replay(&self, rollout: i64) -> Result<(usize, Vec<usize>), Error> {
        let work = move |tx: &Tx<'_>| {
            let records = tx.records(rollout)?;
            let mut differ = Vec::new();
            for (at, record) in records.iter().enumerate() {
                let plan = tx.plan(rollout, Some(record.plan))?;
                let again = plan.and_then(|plan| planner::replay(&plan, record));
                if again.as_ref() != Some(&record.decisions) {
                    differ.push(at + 1);
                }
            }
            Ok((records.len(), differ))
        };
        self.store.read(work).await
    }
}

/// All that is known of a rollout at a moment.
struct Sight {
    plan: Plan,
    standing: Rollout,
    inventory: planner::Inventory,
    situation: Situation,
}

impl Sight {
    fn record(self) -> Record {
        Record::of(&self.plan, self.situation)
    }
}

fn explained(sight: &Sight, shadows: Vec<shadows::RingShadow>) -> Explained {
    let (plan, standing) = (&sight.plan, &sight.standing);
    let explanation = planner::explain_rollout(plan, &sight.situation);
    Explained {
        rollout: standing.id.0,
        model: plan.policy.model.to_string(),
        version: plan.policy.version.to_string(),
        role: plan.policy.role,
        plan: plan.number.0,
        stands: explanation.state.name(),
        ended: explanation.state.is_terminal(),
        since: standing.since.0,
        explanation,
        gates: sight.situation.evidence.clone(),
        shadows,
    }
}

fn device_explained(sight: &Sight, device: &DeviceId) -> DeviceExplained {
    let (plan, situation) = (&sight.plan, &sight.situation);
    DeviceExplained {
        rollout: sight.standing.id.0,
        model: plan.policy.model.to_string(),
        version: plan.policy.version.to_string(),
        role: plan.policy.role,
        explanation: planner::explain_device(plan, situation, &sight.inventory, device),
    }
}

fn id_of(rollout: i64) -> RolloutId {
    RolloutId(rollout.cast_unsigned())
}

/// A rollout says when it came to stand where it stands.
fn log(rollout: i64, record: &Record, now: UnixSeconds) {
    for change in &record.decisions.changes {
        tracing::info!(
            rollout,
            at = now.0,
            "{}: because {}",
            change.to.name(),
            change.because.sentence
        );
    }
}
