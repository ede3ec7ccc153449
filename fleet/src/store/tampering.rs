//! What tests of the watch do to a store behind its back.

use muster_protocol::id::DeviceId;
use rusqlite::params;

use super::{StoreError, Tx, column};

/// Something that only another program would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tampering {
    /// Alarms of means become alarms of the lean.
    AlarmsSaySkew,
    /// The charts of devices are lost.
    ChartsOfDevicesLost,
    /// What is known of quality is lost.
    QualityLost,
    /// A placing is lost.
    PlacingLost,
    /// Everything was written in another format, and cannot be read.
    OtherFormat,
}

impl Tampering {
    const fn statements(self) -> &'static [&'static str] {
        match self {
            Self::AlarmsSaySkew => &["UPDATE alarms SET what = replace(what, 'location', 'skew')
                                      WHERE what LIKE '%location%'"],
            Self::ChartsOfDevicesLost => &["DELETE FROM watches WHERE kept = 0 AND kind = 0"],
            Self::QualityLost => &["DELETE FROM watches WHERE kept = 0 AND kind = 2"],
            Self::PlacingLost => &["DELETE FROM placings
                                    WHERE placing = (SELECT min(placing) FROM placings)"],
            Self::OtherFormat => &[
                "UPDATE watching SET format = 0",
                "UPDATE watches SET state = x'00'",
                "UPDATE alarms SET format = 0",
                "UPDATE placings SET format = 0",
            ],
        }
    }
}

impl Tx<'_> {
    /// Does it; how many rows are no longer what they were.
    pub(crate) fn tamper(&self, tampering: Tampering) -> Result<usize, StoreError> {
        let each = tampering.statements().iter();
        let changed = each.map(|sql| self.0.execute(sql, []));
        Ok(changed.sum::<rusqlite::Result<usize>>()?)
    }

    /// A device that never enrolled, with a label.
    pub(crate) fn make_labelled_device(
        &self,
        device: &DeviceId,
        label: &str,
        value: &str,
    ) -> Result<(), StoreError> {
        let labels = std::collections::BTreeMap::from([(label, value)]);
        let sql = "INSERT OR REPLACE INTO devices (device, labels, enrolled_at) VALUES (?, ?, 0)";
        let labels = column::to_json(&labels)?;
        self.0.execute(sql, params![device.as_str(), labels])?;
        Ok(())
    }

    /// Removes windows up to this one, as age does.
    pub(crate) fn remove_windows(&self, through: i64) -> Result<(), StoreError> {
        let sql = "DELETE FROM windows WHERE window <= ?";
        self.0.execute(sql, [through])?;
        Ok(())
    }
}
