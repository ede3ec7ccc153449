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
    /// Power goes in the middle of a piece: the end of a layer is not what was written.
    WriteTorn,
    /// A link is cut, and both ends are told.
    LinkCut,
    /// Nothing comes through in one direction, and nobody is told.
    OneWay,
    /// Links are cut one by one and healed in another order.
    Swizzle,
    /// The broker starts anew and has forgotten its sessions.
    BrokerRestart,
    /// An old message is said again, to whom it was said or under the name of another device.
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
    /// Another key releases a model from now on; the old one overlaps or counts no more.
    ReleaseKeyRotated,
    /// Another director, with other keys, takes the place of a stolen one.
    DirectorReplaced,
    /// The disk of a device is copied into another machine.
    Clone,
    /// The online keys of the controller are stolen, and used.
    KeysStolen,
}

impl Fault {
    /// Every kind, in the order of the summary.
    pub const ALL: [Self; 21] = [
        Self::PowerCut,
        Self::DiskFull,
        Self::DiskRots,
        Self::WriteFails,
        Self::WriteTorn,
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
        Self::ReleaseKeyRotated,
        Self::DirectorReplaced,
        Self::Clone,
        Self::KeysStolen,
    ];

    /// One of those that strike at a drawn moment; the others come by themselves.
    pub(super) fn drawn(random: &mut Random) -> Self {
        let all = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut left = random.below(all);
        for (fault, weight) in WEIGHTS {
            if left < weight {
                return fault;
            }
            left -= weight;
        }
        Self::PowerCut
    }
}

/// How often each is drawn: what hits one device more often than what hits all, and least often
/// what every device verifies again at each start.
const WEIGHTS: [(Fault, u64); 18] = [
    (Fault::PowerCut, 8),
    (Fault::DiskFull, 4),
    (Fault::DiskRots, 4),
    (Fault::LinkCut, 6),
    (Fault::OneWay, 4),
    (Fault::Replay, 6),
    (Fault::Suspend, 2),
    (Fault::Swizzle, 2),
    (Fault::BrokerRestart, 2),
    (Fault::FleetClock, 2),
    (Fault::ControllerCrash, 2),
    (Fault::ControllerRestore, 2),
    (Fault::Clone, 2),
    (Fault::FloorRaised, 1),
    (Fault::Revoked, 1),
    (Fault::ReleaseKeyRotated, 1),
    (Fault::DirectorReplaced, 1),
    (Fault::KeysStolen, 1),
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::PowerCut => "power cut",
            Self::DiskFull => "disk full",
            Self::DiskRots => "disk rots",
            Self::WriteFails => "write fails",
            Self::WriteTorn => "write torn",
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
            Self::ReleaseKeyRotated => "release key rotated",
            Self::DirectorReplaced => "director replaced",
            Self::Clone => "device cloned",
            Self::KeysStolen => "online keys stolen",
        })
    }
}
