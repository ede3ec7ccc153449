//! Incidents: what a person must look at, from what opens one to what a retrain is asked for.
//!
//! Decisions only, made of values: keeps nothing, tells nobody, reads no clock.

mod desk;
mod event;
mod kind;
mod life;
mod person;
mod place;
mod precision;
mod retrain;
mod rules;
mod schedule;
mod silence;

pub use desk::{Desk, Listener, Listens, Telling, Told, closing, tell};
pub use event::{Event, EventType};
pub use kind::{DeviceKind, Kind, UnknownKind};
pub use life::{Command, State};
pub use person::{BadPerson, Person};
pub use place::{BadPlace, finding_digest, place, read_place};
pub use precision::{Precision, Share};
pub use retrain::{
    Cohort, Day, FeatureDay, QualityDay, QualitySpan, RetrainCommand, RetrainRecord, RetrainRule,
    RetrainState, Verdict, dispersion, judge,
};
pub use rules::{AppliedRules, Budget, Route, Rules, RulesError, RulesName, Webhooks};
pub use schedule::{GIVEN_UP_AFTER_S, Next, Tries, next};
pub use silence::{BadSilence, Silence, Subject};
