//! What is looked at: all devices that run one bundle, side by side in time.
//!
//! Values only. Never reads a store: whoever does fills this in.

use std::collections::BTreeMap;

use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId};

use super::normal::{Basis, Normal};
use crate::watch::{Counted, DeviceWatch, Follows};

/// Devices of one model and one reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// The model.
    pub model: ModelId,
    /// The bundle that serves.
    pub bundle: Digest,
    /// Features in the order of the reference.
    pub features: Vec<PanelFeature>,
    /// The devices.
    pub devices: Vec<PanelDevice>,
    /// How well the classifier does on all of them.
    pub quality: Quality,
    /// The same on the devices of a label and a value; of one that is not here nothing is known.
    pub cohort_quality: BTreeMap<(String, String), Quality>,
}

/// A feature of the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct PanelFeature {
    /// Its name.
    pub name: String,
    /// On which side of the model it lies.
    pub side: Side,
    /// Where its moments are taken of the value itself: what they are in the value's own unit.
    pub scale: Option<RawScale>,
}

/// A side of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What goes in.
    Input,
    /// What comes out.
    Output,
}

/// The reference of a feature, in its own unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RawScale {
    /// Mean.
    pub mean: f64,
    /// Standard deviation; above zero.
    pub deviation: f64,
}

/// Whether quality, estimated without labels or measured with them, has left its normal range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// There is no estimate, or what is normal is not known.
    Unknown,
    /// It has not.
    Unchanged,
    /// It has.
    Changed,
}

/// A device of the panel.
#[derive(Debug, Clone, PartialEq)]
pub struct PanelDevice {
    /// Which.
    pub device: DeviceId,
    /// What is known of it: `firmware`, `hardware`, `lot`, its site, …
    pub labels: BTreeMap<String, String>,
    /// What is normal for each feature; none where it is not known, and then it is not judged.
    pub normal: Vec<Option<Normal>>,
    /// What is usual of its requests.
    pub usual: Usual,
    /// Windows, oldest first, in slots of time that are the same for all devices; none where it
    /// sent nothing.
    pub windows: Vec<Option<Counted>>,
}

/// Shares of requests that are seldom exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Usual {
    /// Of those that fail.
    pub errors: f64,
    /// Of those that are late.
    pub misses: f64,
}

impl PanelDevice {
    /// A device with what its charts have learnt and the windows they have kept.
    #[must_use]
    pub fn watched(
        device: DeviceId,
        labels: BTreeMap<String, String>,
        watch: &DeviceWatch,
    ) -> Self {
        let normal = (0..watch.features.len()).map(|feature| {
            let (state, follows) = watch.chart(feature)?;
            let basis = match follows {
                Follows::Nothing => Basis::Values,
                Follows::HourOfWeek { .. } => Basis::WithoutWeek,
            };
            Some(Normal::watched(state, basis))
        });
        let [errors, misses] = watch.service_limits();
        Self {
            device,
            labels,
            normal: normal.collect(),
            // What fails too often to be watched is not judged here either.
            usual: Usual { errors, misses },
            windows: watch.recent.iter().cloned().map(Some).collect(),
        }
    }
}
