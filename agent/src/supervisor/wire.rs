//! The supervisor's side of the link: where it is to lead, and how it does.
//!
//! Never connects and never ends a connection: it says where the link is wanted, and whoever owns
//! the link leads it there.

use super::Supervisor;
use super::destination::{Destination, Enrolled, Named};
use crate::clock;
use crate::enroll::{Broker, Identity};
use crate::link::{Publisher, Target};
use crate::store::Store;
use crate::store::worked::Worked;
use muster_protocol::time::Millis;
use muster_protocol::tuf::FleetDocument;
use serde_json::{Value, json};

/// What is known of the link.
pub(super) struct Wire {
    enrolled: Enrolled,
    destination: Destination,
    worked: Option<Worked>,
    /// The link is to be led to the destination.
    wanted: bool,
    publisher: Option<Publisher>,
    state: State,
    since: Millis,
}

/// How the link does.
enum State {
    Up(Broker),
    Down { because: String },
}

impl Wire {
    pub(super) fn new(identity: &Identity, fleet: Option<&FleetDocument>, store: &Store) -> Self {
        let enrolled = Enrolled {
            broker: identity.broker.clone(),
            anchors: identity.anchors.clone(),
        };
        let worked = store.read_worked();
        let named = fleet.and_then(|fleet| Named::of(fleet).ok());
        let destination = Destination::decide(&enrolled, named.as_ref(), worked.as_ref());
        destination.announce();
        Self {
            enrolled,
            destination,
            worked,
            wanted: false,
            publisher: None,
            state: State::Down {
                because: "it begins".to_owned(),
            },
            since: clock::monotonic(),
        }
    }

    fn turn(&mut self, state: State) {
        let same = matches!(
            (&self.state, &state),
            (State::Down { .. }, State::Down { .. })
        );
        if !same {
            self.since = clock::monotonic();
        }
        self.state = state;
    }

    /// Since when nothing has been connected; nothing while something is.
    pub(super) const fn down_since(&self) -> Option<Millis> {
        match self.state {
            State::Up(_) => None,
            State::Down { .. } => Some(self.since),
        }
    }

    /// As `muster-agent status` shows it.
    pub(super) fn picture(&self) -> Value {
        let Destination {
            target,
            origin,
            fault,
        } = &self.destination;
        let (broker, because) = match &self.state {
            State::Up(broker) => (Some(broker.to_string()), None),
            State::Down { because } => (None, Some(because)),
        };
        json!({
            "broker": broker,
            "meant": target.broker.to_string(),
            "from": origin.to_string(),
            "since_s": clock::monotonic().since(self.since) / 1000,
            "because": because,
            "not_followed": fault,
        })
    }
}

impl Destination {
    fn announce(&self) {
        let (broker, origin) = (&self.target.broker, self.origin);
        tracing::info!(%broker, by = %origin, "the broker that is meant");
        if let Some(fault) = &self.fault {
            tracing::error!("the broker of fleet.json is not followed: because {fault}");
        }
    }
}

impl Supervisor {
    /// Where the link is to lead.
    pub fn link_target(&self) -> &Target {
        &self.wire.destination.target
    }

    /// Where the link is to be led from now on, said once.
    pub fn link_wanted(&mut self) -> Option<&Target> {
        std::mem::take(&mut self.wire.wanted).then_some(&self.wire.destination.target)
    }

    /// Hands over the way into the link that was started for this supervisor.
    pub fn set_publisher(&mut self, publisher: Publisher) {
        self.wire.publisher = Some(publisher);
    }

    pub(super) const fn publisher(&self) -> Option<&Publisher> {
        self.wire.publisher.as_ref()
    }

    /// A newer `fleet.json` counts. What leads there already is left alone.
    pub(super) fn follow(&mut self, named: &Named) {
        let worked = self.wire.worked.as_ref();
        let destination = Destination::decide(&self.wire.enrolled, Some(named), worked);
        self.wire.wanted |= !destination.is_same_way(&self.wire.destination);
        destination.announce();
        self.wire.destination = destination;
    }

    pub(super) fn link_came_up(&mut self, broker: Broker) {
        let worked = Worked {
            meant: self.wire.destination.target.broker.to_string(),
            broker: broker.to_string(),
        };
        if worked.meant != worked.broker {
            let (meant, broker) = (&worked.meant, &worked.broker);
            tracing::warn!(%meant, %broker, "another broker stands in for the one that is meant");
        }
        self.wire.turn(State::Up(broker));
        if self.wire.worked.as_ref() == Some(&worked) {
            return;
        }
        if let Err(error) = self.store.write_worked(&worked) {
            tracing::warn!("{error}");
        }
        self.wire.worked = Some(worked);
    }

    pub(super) fn link_went_down(&mut self, because: String) {
        self.wire.turn(State::Down { because });
    }
}
