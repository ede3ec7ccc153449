//! What all who watch look at together: the whole fleet once for each change, drift of a large
//! fleet at most every few seconds. Never asked by anybody but pages.

use std::sync::Arc;

use muster_protocol::id::{DeviceId, ModelId};
use muster_protocol::time::UnixSeconds;
use tokio::sync::Mutex;

use super::super::error::Answer;
use crate::controller::{Controller, DevicesLook, Error, FleetLook, WhichDevices};
use crate::drift::{DriftQuery, DriftRow, Histograms, SINCE_S_DEFAULT};
use crate::store::Page;

/// What was said holds so long, even when nothing changed: moments pass.
const HOLDS_S: u64 = 15;
/// Devices in sight for which drift is shown device by device.
pub(super) const DRIFT_DEVICES_MAX: usize = 8;

/// Up to so many devices, drift is looked at for each change as well.
const FEW_DEVICES_MAX: u64 = 200;

/// Stands for one state of the store for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sight {
    changes: i64,
    span: u64,
}

/// Everything that the page shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Look {
    pub(super) which: WhichDevices,
    pub(super) fleet: Arc<FleetLook>,
    pub(super) devices: DevicesLook,
    /// All devices together, for each model.
    pub(super) drift: Arc<Vec<DriftRow>>,
    /// Each device in sight, when they are few.
    pub(super) device_drift: Vec<DriftRow>,
}

/// The controller, and what was seen of it last.
pub(super) struct Lookout {
    controller: Arc<Controller>,
    fleet: Mutex<Option<(Sight, Arc<FleetLook>)>>,
    drift: Mutex<Option<(Sight, Arc<Vec<DriftRow>>)>>,
}

impl Lookout {
    pub(super) fn new(controller: Arc<Controller>) -> Self {
        Self {
            controller,
            fleet: Mutex::default(),
            drift: Mutex::default(),
        }
    }

    /// What there is to see now: when it is the same as before, so is the look.
    pub(super) async fn sight(&self, now: UnixSeconds) -> Answer<Sight> {
        let changes = self.controller.changes().await?;
        let span = now.0 / HOLDS_S;
        Ok(Sight { changes, span })
    }

    /// Looks.
    pub(super) async fn look(
        &self,
        which: &WhichDevices,
        sight: Sight,
        now: UnixSeconds,
    ) -> Answer<Look> {
        let fleet = self.fleet(sight, now).await?;
        let drift = self.drift(sight, &fleet).await?;
        let devices = self.controller.look_at_devices(which.clone(), now).await?;
        let device_drift = self.device_drift(&devices).await?;
        let which = which.clone();
        Ok(Look {
            which,
            fleet,
            devices,
            drift,
            device_drift,
        })
    }

    /// Whoever comes while one looks waits for what it sees.
    async fn fleet(&self, sight: Sight, now: UnixSeconds) -> Answer<Arc<FleetLook>> {
        let mut seen = self.fleet.lock().await;
        if let Some((_, fleet)) = seen.as_ref().filter(|(at, _)| *at == sight) {
            return Ok(Arc::clone(fleet));
        }
        let fleet = Arc::new(self.controller.look_at_fleet(now).await?);
        *seen = Some((sight, Arc::clone(&fleet)));
        Ok(fleet)
    }

    /// Sums over many devices cost more than the rest: they are not made for each change.
    async fn drift(&self, sight: Sight, fleet: &FleetLook) -> Answer<Arc<Vec<DriftRow>>> {
        let sight = match fleet.presences.total() {
            0..=FEW_DEVICES_MAX => sight,
            _ => Sight {
                changes: 0,
                ..sight
            },
        };
        let mut seen = self.drift.lock().await;
        if let Some((_, rows)) = seen.as_ref().filter(|(at, _)| *at == sight) {
            return Ok(Arc::clone(rows));
        }
        let mut rows = Vec::new();
        for model in &fleet.models {
            rows.extend(self.drift_of(&model.model, None).await?);
        }
        let rows = Arc::new(rows);
        *seen = Some((sight, Arc::clone(&rows)));
        Ok(rows)
    }

    async fn device_drift(&self, devices: &DevicesLook) -> Answer<Vec<DriftRow>> {
        let mut rows = Vec::new();
        if devices.items.len() > DRIFT_DEVICES_MAX {
            return Ok(rows);
        }
        for look in &devices.items {
            for (model, _) in &look.models {
                rows.extend(
                    self.drift_of(&model.model, Some(&look.device.device))
                        .await?,
                );
            }
        }
        Ok(rows)
    }

    /// A model that was never released here, or a device that left meanwhile, has none.
    async fn drift_of(&self, model: &str, device: Option<&str>) -> Answer<Vec<DriftRow>> {
        let Ok(model) = ModelId::parse(model) else {
            return Ok(Vec::new());
        };
        let query = DriftQuery {
            model,
            version: None,
            device: device.and_then(|device| DeviceId::parse(device).ok()),
            cohort: None,
            since_s: SINCE_S_DEFAULT,
            histograms: Histograms::With,
        };
        let page = Page {
            cursor: None,
            limit: Some(1),
        };
        match self.controller.drift(query, page).await {
            Ok(found) => {
                let rows = found.items.into_iter();
                Ok(rows.filter(|row| row.device.as_deref() == device).collect())
            }
            Err(Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}
