//! How a node ends what it was asked to do: one name and one exit code for each reason.
//!
//! Codes are what a test bench reads, so they are never given anew.

use muster_device::acceptance::NotAccepted;
use muster_device::key_sets::NotTakenUp;
use muster_protocol::cose::Refused;
use muster_protocol::message::Reason;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// Everything that was asked for was done.
    Done = 0,
    /// A word is no task, comes before what it needs, or its file cannot be read.
    Usage = 2,
    /// The provision is none.
    BadProvision = 3,

    /// A key set is not a document of its kind.
    KeySetMalformed = 10,
    /// A key set is not signed by enough of the targets keys.
    KeySetSignature = 11,
    /// A newer key set was taken up.
    KeySetOld = 12,
    /// The very same key set was taken up.
    KeySetRepeated = 13,
    /// Another key set of the same version was taken up.
    KeySetForked = 14,
    /// A key set before it is missing.
    KeySetSkipped = 15,
    /// A key set continues another chain.
    KeySetPredecessor = 16,
    /// A key set names a role that can never sign.
    KeySetUnsound = 17,
    /// A key set is for a model that there is no room for.
    KeySetNoRoom = 18,

    /// A signed time does not open with a time key.
    TimeSignature = 20,
    /// A signed time answers somebody else.
    TimeNotOurs = 21,
    /// A signed time lies outside of what may be said online.
    TimeNotBelieved = 22,

    /// An assignment is not a document of its kind.
    AssignmentMalformed = 30,
    /// An assignment is not signed by the director.
    AssignmentSignature = 31,
    /// An assignment is for another device.
    OtherDevice = 32,
    /// An assignment comes from another director.
    OtherEpoch = 33,
    /// A newer assignment was accepted.
    OldGeneration = 34,
    /// The very same assignment was accepted.
    AssignmentRepeated = 35,
    /// Another assignment of the same generation was accepted.
    AssignmentForked = 36,
    /// There is no trusted time to judge an assignment with.
    TimeUnknown = 37,
    /// An assignment could be accepted until before now.
    Expired = 38,
    /// An assignment contradicts itself.
    Inconsistent = 39,
    /// An assignment is larger than a node reads.
    AssignmentTooLarge = 40,
    /// An assignment names more models than there is room for.
    AssignmentNoRoom = 41,

    /// No entry waits for a statement of these bytes.
    StatementNotNamed = 50,
    /// A statement is malformed, or not signed by enough of the release keys.
    StatementSignature = 51,
    /// A statement is for another model or version than its entry.
    StatementMismatch = 52,
    /// A release lies below the floor.
    BelowFloor = 53,
    /// A bundle is revoked.
    Revoked = 54,
    /// A release is for another kind of machine.
    TargetClass = 55,
    /// A release asks for more than this machine has.
    Requirements = 56,
    /// A release was refused for another reason.
    StatementRefused = 59,

    /// A reference cannot be counted against.
    BadReference = 60,
    /// The rows are not rows of that reference.
    BadSamples = 61,

    /// The image panicked.
    Panicked = 101,
    /// The processor could not go on.
    Faulted = 102,
}

impl Verdict {
    /// What the image ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<NotTakenUp> for Verdict {
    fn from(why: NotTakenUp) -> Self {
        match why {
            NotTakenUp::Signature(refused) if is_form(refused) => Self::KeySetMalformed,
            NotTakenUp::Signature(_) => Self::KeySetSignature,
            NotTakenUp::Old { .. } => Self::KeySetOld,
            NotTakenUp::Repeated => Self::KeySetRepeated,
            NotTakenUp::Forked => Self::KeySetForked,
            NotTakenUp::Skipped { .. } => Self::KeySetSkipped,
            NotTakenUp::OtherPredecessor => Self::KeySetPredecessor,
            NotTakenUp::Unsound => Self::KeySetUnsound,
            NotTakenUp::NoRoom => Self::KeySetNoRoom,
        }
    }
}

impl From<NotAccepted> for Verdict {
    fn from(why: NotAccepted) -> Self {
        match why {
            NotAccepted::Signature(refused) if is_form(refused) => Self::AssignmentMalformed,
            NotAccepted::Signature(_) => Self::AssignmentSignature,
            NotAccepted::OtherDevice => Self::OtherDevice,
            NotAccepted::OtherEpoch => Self::OtherEpoch,
            NotAccepted::Old { .. } => Self::OldGeneration,
            NotAccepted::Repeated => Self::AssignmentRepeated,
            NotAccepted::Forked => Self::AssignmentForked,
            NotAccepted::TimeUnknown => Self::TimeUnknown,
            NotAccepted::Expired { .. } => Self::Expired,
            NotAccepted::Inconsistent => Self::Inconsistent,
        }
    }
}

impl From<Reason> for Verdict {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other reasons come later than the statement, and no node gets there yet"
    )]
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::StatementSignature => Self::StatementSignature,
            Reason::StatementMismatch => Self::StatementMismatch,
            Reason::BelowFloor => Self::BelowFloor,
            Reason::Revoked => Self::Revoked,
            Reason::TargetClass => Self::TargetClass,
            Reason::AgentTooOld | Reason::Memory | Reason::Disk => Self::Requirements,
            _ => Self::StatementRefused,
        }
    }
}

/// Whether bytes were refused for their form, before or after their signatures.
const fn is_form(refused: Refused) -> bool {
    match refused {
        Refused::TooLarge
        | Refused::Envelope(_)
        | Refused::TooManySignatures
        | Refused::Payload(_)
        | Refused::NoScratch => true,
        Refused::UnknownKey | Refused::BadSignature | Refused::TooFewSignatures { .. } => false,
    }
}
