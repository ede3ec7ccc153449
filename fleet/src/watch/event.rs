//! What changes how windows are judged, beside the windows themselves: written down with the window
//! after which it holds, so that everything can be computed again.

use muster_protocol::id::{DeviceId, ModelId};
use serde::{Deserialize, Serialize};

use super::watches::{Labels, WatchRule, Watches};

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchEvent {
    /// Another rule.
    Rule(WatchRule),
    /// A device has other labels.
    Labels {
        /// The device.
        #[serde(with = "crate::text")]
        device: DeviceId,
        /// All of its labels.
        labels: Labels,
    },
    /// What is normal is learnt anew.
    Rebaseline {
        /// The model.
        #[serde(with = "crate::text")]
        model: ModelId,
        /// Of this device alone; otherwise of all, and of their cohorts.
        #[serde(with = "crate::text::optional")]
        device: Option<DeviceId>,
        /// Who asked.
        operator: String,
        /// Why, as they said.
        reason: String,
    },
}

impl Watches {
    /// Heeds a change.
    pub fn heed(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Rule(rule) => self.set_rule(rule),
            WatchEvent::Labels { device, labels } => {
                self.labels.insert(device, labels);
            }
            WatchEvent::Rebaseline { model, device, .. } => self.forget(&model, device.as_ref()),
        }
    }
}
