//! What time it is, as far as a device may believe anyone.
//!
//! Edge clocks lie, so none is asked. Only `issued_at` of the offline-signed `fleet.json` raises
//! the permanent floor; online time counts within its epoch, and never far above that floor.

use minicbor::{Decode, Encode};
use muster_protocol::id::Epoch;
use muster_protocol::limits::ONLINE_TIME_LEAD_DAYS_MAX;
use muster_protocol::time::{Millis, UnixSeconds};

/// The part that outlives a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct TimeFloors {
    /// Highest `issued_at` of any accepted `fleet.json`.
    #[n(0)]
    pub permanent: UnixSeconds,
    /// The epoch of [`Self::scoped`].
    #[n(1)]
    pub epoch: Epoch,
    /// Highest online time believed in that epoch.
    #[n(2)]
    pub scoped: UnixSeconds,
}

/// Floors, and a clock that runs from the last signed time on.
#[derive(Debug, Clone, Default)]
pub struct TrustedTime {
    floors: TimeFloors,
    anchor: Option<(Millis, UnixSeconds)>,
}

/// What became of an online time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnlineTime {
    /// It is believed.
    Believed,
    /// It belongs to another epoch.
    OtherEpoch,
    /// It lies further above the newest `fleet.json` than anyone online may say.
    TooFarAhead,
    /// It lies below a floor.
    BelowFloor,
}

impl TrustedTime {
    /// Continues from stored floors; the clock runs only after the next signed time.
    #[must_use]
    pub const fn new(floors: TimeFloors) -> Self {
        Self {
            floors,
            anchor: None,
        }
    }

    /// What must be stored.
    #[must_use]
    pub const fn floors(&self) -> TimeFloors {
        self.floors
    }

    /// An accepted `fleet.json`: raises the permanent floor; a new epoch discards what the old
    /// director said.
    pub fn on_fleet_document(&mut self, epoch: Epoch, issued_at: UnixSeconds) {
        self.floors.permanent = self.floors.permanent.max(issued_at);
        if epoch != self.floors.epoch {
            self.floors.epoch = epoch;
            self.floors.scoped = UnixSeconds(0);
            self.anchor = None;
        }
    }

    /// A verified answer to our own nonce.
    pub fn on_signed_time(&mut self, epoch: Epoch, unix: UnixSeconds, now: Millis) -> OnlineTime {
        let verdict = self.on_issued_at(epoch, unix);
        if verdict == OnlineTime::Believed {
            self.anchor = Some((now, unix));
        }
        verdict
    }

    /// A verified online document that states when it was made.
    pub fn on_issued_at(&mut self, epoch: Epoch, unix: UnixSeconds) -> OnlineTime {
        if epoch != self.floors.epoch {
            return OnlineTime::OtherEpoch;
        }
        if unix > self.floors.permanent.plus_days(ONLINE_TIME_LEAD_DAYS_MAX) {
            return OnlineTime::TooFarAhead;
        }
        if unix < self.floors.permanent {
            return OnlineTime::BelowFloor;
        }
        self.floors.scoped = self.floors.scoped.max(unix);
        OnlineTime::Believed
    }

    /// Seconds since 1970, once a signed time was believed in this boot.
    #[must_use]
    pub fn unix(&self, now: Millis) -> Option<UnixSeconds> {
        let (at, unix) = self.anchor?;
        let unix = unix.0.saturating_add(now.since(at) / 1000);
        Some(UnixSeconds(unix).max(self.floors.permanent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn at_day(day: u64) -> UnixSeconds {
        UnixSeconds(day * DAY)
    }

    fn time() -> TrustedTime {
        let mut time = TrustedTime::default();
        time.on_fleet_document(Epoch(1), at_day(20_000));
        time
    }

    fn check(epoch: u64, day: u64, expect: OnlineTime) {
        let mut time = time();
        assert_eq!(
            time.on_signed_time(Epoch(epoch), at_day(day), Millis(5000)),
            expect
        );
        let believed = (expect == OnlineTime::Believed).then_some(UnixSeconds(day * DAY + 2));
        assert_eq!(time.unix(Millis(7999)), believed);
    }

    #[test]
    fn online_time_is_believed_within_its_epoch_and_lead() {
        check(1, 20_000, OnlineTime::Believed);
        check(1, 20_400, OnlineTime::Believed);
        check(1, 20_401, OnlineTime::TooFarAhead);
        check(1, 19_999, OnlineTime::BelowFloor);
        check(2, 20_001, OnlineTime::OtherEpoch);
    }

    #[test]
    fn a_new_epoch_discards_what_the_old_director_said() {
        let mut time = time();
        time.on_signed_time(Epoch(1), at_day(20_399), Millis(0));
        time.on_fleet_document(Epoch(2), at_day(20_001));
        assert_eq!(time.unix(Millis(0)), None);
        assert_eq!(time.floors().scoped, UnixSeconds(0));
        assert_eq!(time.floors().permanent, at_day(20_001));
    }

    #[test]
    fn time_stops_at_the_end_of_numbers() {
        let mut time = TrustedTime::default();
        time.on_fleet_document(Epoch(1), UnixSeconds(u64::MAX));
        time.on_signed_time(Epoch(1), UnixSeconds(u64::MAX), Millis(0));
        assert_eq!(time.unix(Millis(5000)), Some(UnixSeconds(u64::MAX)));
    }

    #[test]
    fn an_older_fleet_document_lowers_nothing() {
        let mut time = time();
        time.on_fleet_document(Epoch(1), at_day(1));
        assert_eq!(time.floors().permanent, at_day(20_000));
    }
}
