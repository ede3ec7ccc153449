//! How fast one device may ask: two token buckets, filled by the time that callers hand in.
//!
//! What a device asks beyond its rate is not answered; it asks again, later. Never remembered
//! over a restart.

use std::collections::BTreeMap;

use muster_protocol::id::DeviceId;
use muster_protocol::time::UnixSeconds;

/// Requests that a device may make at once, and each second.
const REQUESTS: Rate = Rate {
    burst: 200,
    per_s: 20,
};
/// Bytes that a device may fetch at once, and each second.
const BYTES: Rate = Rate {
    burst: 64 * 1024 * 1024,
    per_s: 8 * 1024 * 1024,
};

#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: u64,
    per_s: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u64,
    filled: UnixSeconds,
}

/// The buckets of every device that asked.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    devices: BTreeMap<DeviceId, Buckets>,
}

#[derive(Debug, Clone, Copy)]
struct Buckets {
    requests: Bucket,
    bytes: Bucket,
}

/// Whether there is enough left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Yes, and it was taken.
    Yes,
    /// No, and nothing was taken.
    NotNow,
}

impl Rates {
    /// Takes one request.
    pub(super) fn request(&mut self, device: &DeviceId, now: UnixSeconds) -> Allowed {
        self.of(device, now).requests.take(1, REQUESTS, now)
    }

    /// Takes bytes of an answer.
    pub(super) fn bytes(&mut self, device: &DeviceId, bytes: u64, now: UnixSeconds) -> Allowed {
        self.of(device, now).bytes.take(bytes, BYTES, now)
    }

    fn of(&mut self, device: &DeviceId, now: UnixSeconds) -> &mut Buckets {
        let full = |rate: Rate| Bucket {
            left: rate.burst,
            filled: now,
        };
        let new = Buckets {
            requests: full(REQUESTS),
            bytes: full(BYTES),
        };
        self.devices.entry(device.clone()).or_insert(new)
    }
}

impl Bucket {
    fn take(&mut self, tokens: u64, rate: Rate, now: UnixSeconds) -> Allowed {
        // A clock that went back fills nothing and is followed.
        let passed_s = now.0.saturating_sub(self.filled.0);
        let filled = self
            .left
            .saturating_add(passed_s.saturating_mul(rate.per_s));
        (self.left, self.filled) = (filled.min(rate.burst), now);
        match self.left.checked_sub(tokens) {
            Some(left) => {
                self.left = left;
                Allowed::Yes
            }
            None => Allowed::NotNow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_at_once_and_fills_with_time() {
        let rate = Rate {
            burst: 10,
            per_s: 2,
        };
        let mut bucket = Bucket {
            left: 10,
            filled: UnixSeconds(100),
        };
        for (tokens, at_s, expect) in [
            (8, 100, Allowed::Yes),
            (3, 100, Allowed::NotNow),
            (2, 100, Allowed::Yes),
            (1, 100, Allowed::NotNow),
            (2, 101, Allowed::Yes),
            (1, 90, Allowed::NotNow),
            (3, 91, Allowed::NotNow),
            (2, 91, Allowed::Yes),
            (10, u64::MAX, Allowed::Yes),
            (11, u64::MAX, Allowed::NotNow),
        ] {
            assert_eq!(
                bucket.take(tokens, rate, UnixSeconds(at_s)),
                expect,
                "{tokens} {at_s}"
            );
        }
    }

    #[test]
    fn one_device_does_not_empty_the_bucket_of_another() {
        let (a, b) = ("a".parse().expect("valid"), "b".parse().expect("valid"));
        let (mut rates, now) = (Rates::default(), UnixSeconds(1));
        assert_eq!(rates.bytes(&a, BYTES.burst, now), Allowed::Yes);
        assert_eq!(rates.bytes(&a, 1, now), Allowed::NotNow);
        assert_eq!(rates.bytes(&b, 1, now), Allowed::Yes);
    }
}
