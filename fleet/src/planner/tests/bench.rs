//! An executor in memory: makes decisions so, as the one in `controller` does, and checks on the
//! way what holds for every tick.

use muster_protocol::id::{DeviceId, Version};
use muster_protocol::time::UnixSeconds;

use crate::planner::{
    Change, Command, Decisions, DeviceFacts, Inventory, Order, Plan, Policy, Progress, Record,
    Refusal, RingEvidence, Rollout, RolloutId, Situation, Standing, Try, explain_device, obey,
    replay,
};

/// Friday 2024-03-01T12:00:00Z.
pub(super) const START: UnixSeconds = UnixSeconds(1_709_294_400);

/// A rollout with its fleet.
pub(super) struct Bench {
    pub(super) plan: Plan,
    pub(super) rollout: Rollout,
    pub(super) devices: Vec<DeviceFacts>,
    pub(super) evidence: Vec<RingEvidence>,
    pub(super) now: UnixSeconds,
    /// When devices were told, each time.
    pub(super) told: Vec<(UnixSeconds, DeviceId)>,
    /// Of those, the ones that the last hour held whenever devices were told: a clock that jumps
    /// ahead and comes back makes a rollout forget.
    pub(super) hour: Vec<UnixSeconds>,
}

/// A device of which only the id, the site and the version are known.
pub(super) fn device(n: usize) -> DeviceFacts {
    let id = DeviceId::parse(&format!("press-{n:02}")).expect("valid");
    DeviceFacts {
        labels: [("site".to_owned(), format!("hall-{}", n % 3))].into(),
        previous: Version::parse("1.0.0").ok(),
        ..DeviceFacts::new(id)
    }
}

/// `model`, `version` and the choices that must be made, before `rest`.
pub(super) fn policy(rest: &str) -> Policy {
    let head = "model = \"bearing\"\nversion = \"2.0.0\"\n";
    let mut text = head.to_owned();
    for (field, value) in [("membership", "frozen"), ("on_halt", "rollback")] {
        if !rest.contains(field) {
            text += &format!("{field} = \"{value}\"\n");
        }
    }
    Policy::read(&(text + rest)).unwrap_or_else(|error| panic!("{error}\n{rest}"))
}

impl Bench {
    pub(super) fn new(policy: Policy, devices: Vec<DeviceFacts>) -> Self {
        let inventory = Inventory::new(devices.clone());
        let plan = Plan::make(RolloutId(7), policy, &inventory, START);
        let plan = plan.unwrap_or_else(|error| panic!("{error}"));
        Self {
            rollout: Rollout::begin(&plan, START),
            plan,
            devices,
            evidence: Vec::new(),
            now: START,
            told: Vec::new(),
            hour: Vec::new(),
        }
    }

    pub(super) fn inventory(&self) -> Inventory {
        Inventory::new(self.devices.clone())
    }

    pub(super) fn situation(&self) -> Situation {
        let inventory = self.inventory();
        let (rollout, now) = (&self.rollout, self.now);
        Situation::of(&self.plan, rollout, &inventory, &self.evidence, now)
    }

    /// Decides and makes it so: amends the plan, ticks, applies.
    pub(super) fn tick(&mut self) -> Decisions {
        if let Some(next) = self
            .plan
            .amended(&self.rollout, &self.inventory(), self.now)
        {
            assert_eq!(next.parent, Some(self.plan.number));
            self.plan = next;
        }
        let record = Record::of(&self.plan, self.situation());
        let decisions = record.decisions.clone();
        assert_eq!(replay(&self.plan, &record), Some(decisions.clone()));
        self.apply(&decisions);
        decisions
    }

    fn apply(&mut self, decisions: &Decisions) {
        self.rollout = decisions.rollout.clone();
        if !decisions.dispatch.is_empty() {
            let now = self.now;
            self.hour.retain(|at| now.0.saturating_sub(at.0) < 3_600);
        }
        for dispatch in &decisions.dispatch {
            let at = self.now;
            let facts = self.facts(&dispatch.device);
            facts.retries += u8::from(dispatch.r#try == Try::Again);
            facts.progress = Progress::Dispatched {
                at,
                first_contact: None,
            };
            self.told.push((at, dispatch.device.clone()));
            self.hour.push(at);
        }
        for back in &decisions.roll_back {
            let at = self.now;
            self.facts(&back.device).progress = Progress::GoingBack {
                at,
                first_contact: None,
            };
        }
    }

    pub(super) fn facts(&mut self, device: &DeviceId) -> &mut DeviceFacts {
        let found = self.devices.iter_mut().find(|one| one.device == *device);
        found.expect("a device of the fleet")
    }

    /// A person gives an order; what follows by itself is for the next tick.
    pub(super) fn order(&mut self, command: Command) -> Result<Option<Change>, Refusal> {
        let order = Order::new(command, "alice", "because I say so").expect("readable");
        let obeyed = obey(&self.plan, &self.situation(), &order)?;
        self.rollout = obeyed.rollout;
        Ok(obeyed.change)
    }

    pub(super) fn standing(&self, device: &DeviceId) -> Standing {
        let inventory = self.inventory();
        explain_device(&self.plan, &self.situation(), &inventory, device).standing
    }

    /// The `nth` device of a ring.
    pub(super) fn member(&self, ring: usize, nth: usize) -> DeviceId {
        self.plan.rings[ring].devices[nth].clone()
    }
}
