//! Charts that watch what a device counts, window after window, against its own normal.
//!
//! Pure: counts and a rule come in, alarms go out, and what was seen is a value that can be written down.
//! Never knows time or a store, never opens an incident, and never learns again by itself.
//!
//! Values of a sensor depend on each other, and a p that takes them for independent is far too small.
//! So windows are averaged into *looks* long enough to be nearly independent (`sizing`), what is
//! normal is learnt from the device's own looks (`series`), and thresholds allow for how little that
//! is (`threshold`). Of a feature that follows the hour of the week the week is taken out before all that
//! (`season`, decision record 0030). Decision record 0022; what it does is measured in docs/drift-curves.md.

mod batches;
mod budget;
mod cohort;
mod counted;
mod device;
mod event;
mod feature;
mod limited;
mod look;
mod quality;
mod rate;
mod season;
mod seasonal;
mod series;
mod service;
mod signal;
mod sizing;
mod slots;
mod stuck;
#[cfg(test)]
mod tests;
mod threshold;
mod watches;
mod words;

pub(crate) use budget::YEAR_S;
pub use budget::{BadIncidents, Budget, IncidentsPerYear};
pub use cohort::{COHORT_SHIFT, CohortRule, CohortWatch};
pub use counted::{Clock, Counted};
pub use device::{DeviceRule, DeviceWatch, FeatureRule, Moved, RECENT_MAX};
pub use event::WatchEvent;
pub use feature::{
    Alarm, LOOKS_MIN, LearningState, Rule, SPAN_MIN_S, SizingState, Stage, Watch, WatchingState,
};
pub use limited::{Beyond, Limited};
pub use quality::{
    Against, Fell, FellFigure, How, QualityRule, QualityStands, QualityWatch, UsualFigure,
};
pub use rate::RateWatched;
pub use season::{Moment, Season, Usual};
pub use seasonal::{Follows, Seasonal};
pub use series::{Baseline, Excursion, Watched};
pub use service::{ServiceMoved, ServiceWatch};
pub(crate) use signal::{DEVIATION_MIN, STEPS_PER_SIGMA, spread_of};
pub use signal::{LOCATION_SHIFT, SHAPE_SHIFT, SPREAD_RATIO, Shape, Signal};
pub use slots::{CohortMoved, CohortSlots, SlotRule};
pub use stuck::StuckWatched;
pub use threshold::threshold;
pub use watches::{
    Alarmed, Cohort, Expected, ExpectedFeature, Labels, Scored, SeasonRule, Seen, Subject,
    WatchRule, Watches, What,
};
