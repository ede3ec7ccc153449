//! What can go wrong, each by name: when it strikes is drawn from the seed.
//!
//! What happens to single messages is the network's; here is what happens to machines, links and
//! people.

use crate::random::Random;
use std::fmt;

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A device loses power.
    PowerCut,
    /// A device has no room on its disk for a while.
    DiskFull,
    /// Bytes of a layer change on the disk.
    DiskRots,
    /// A write ends in an error once.
    WriteFails,
    /// A link is cut, and both ends are told.
    LinkCut,
    /// Nothing comes through in one direction, and nobody is told.
    OneWay,
    /// Links are cut one by one and healed in another order.
    Swizzle,
    /// The broker starts anew and has forgotten its sessions.
    BrokerRestart,
    /// An old message is said again.
    Replay,
    /// A device was suspended: its clock leaps forward.
    Suspend,
    /// The clock of the controller is wrong, forward or back.
    FleetClock,
    /// The controller dies between storing a plan and sending it.
    ControllerCrash,
    /// The controller continues from an old backup.
    ControllerRestore,
    /// Two operators act at the same moment.
    TwoOperators,
    /// The floor of a model rises.
    FloorRaised,
    /// A release is revoked.
    Revoked,
}

impl Fault {
    /// Every kind, in the order of the summary.
    pub const ALL: [Self; 16] = [
        Self::PowerCut,
        Self::DiskFull,
        Self::DiskRots,
        Self::WriteFails,
        Self::LinkCut,
        Self::OneWay,
        Self::Swizzle,
        Self::BrokerRestart,
        Self::Replay,
        Self::Suspend,
        Self::FleetClock,
        Self::ControllerCrash,
        Self::ControllerRestore,
        Self::TwoOperators,
        Self::FloorRaised,
        Self::Revoked,
    ];

    /// One of those that strike at a drawn moment; the others come by themselves.
    pub(super) fn drawn(random: &mut Random) -> Self {
        // What hits one device is drawn more often than what hits all.
        const OFTEN: [Fault; 24] = [
            Fault::PowerCut,
            Fault::PowerCut,
            Fault::PowerCut,
            Fault::PowerCut,
            Fault::DiskFull,
            Fault::DiskFull,
            Fault::DiskRots,
            Fault::DiskRots,
            Fault::LinkCut,
            Fault::LinkCut,
            Fault::LinkCut,
            Fault::OneWay,
            Fault::OneWay,
            Fault::Replay,
            Fault::Replay,
            Fault::Replay,
            Fault::Suspend,
            Fault::Swizzle,
            Fault::BrokerRestart,
            Fault::FleetClock,
            Fault::ControllerCrash,
            Fault::ControllerRestore,
            Fault::FloorRaised,
            Fault::Revoked,
        ];
        let drawn = usize::try_from(random.below(OFTEN.len() as u64)).unwrap_or_default();
        OFTEN[drawn]
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::PowerCut => "power cut",
            Self::DiskFull => "disk full",
            Self::DiskRots => "disk rots",
            Self::WriteFails => "write fails",
            Self::LinkCut => "link cut",
            Self::OneWay => "one way only",
            Self::Swizzle => "swizzle",
            Self::BrokerRestart => "broker restart",
            Self::Replay => "replay",
            Self::Suspend => "suspend",
            Self::FleetClock => "fleet clock wrong",
            Self::ControllerCrash => "controller crash",
            Self::ControllerRestore => "controller restore",
            Self::TwoOperators => "two operators",
            Self::FloorRaised => "floor raised",
            Self::Revoked => "release revoked",
        })
    }
}
