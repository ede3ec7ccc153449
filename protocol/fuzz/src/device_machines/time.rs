//! Trusted time: it never goes below the permanent floor, and only offline documents raise that.

use super::super::reader::Reader;
use muster_device::trusted_time::{OnlineTime, TimeFloors, TrustedTime};
use muster_protocol::id::Epoch;
use muster_protocol::time::{Millis, UnixSeconds};

pub fn run(input: &mut Reader<'_>) {
    let mut time = TrustedTime::new(TimeFloors {
        permanent: UnixSeconds(input.u64()),
        epoch: Epoch(input.u64()),
        scoped: UnixSeconds(input.u64()),
    });
    let mut now = Millis(input.u64());
    while !input.is_empty() {
        let before = time.floors();
        let (what, epoch) = (input.byte(), Epoch(input.u64()));
        let unix = UnixSeconds(input.u64());
        match what % 3 {
            0 => time.on_fleet_document(epoch, unix),
            1 => {
                let verdict = time.on_signed_time(epoch, unix, now);
                check_online(verdict, unix, before, time.floors());
            }
            _ => {
                let verdict = time.on_issued_at(epoch, unix);
                check_online(verdict, unix, before, time.floors());
            }
        }
        now = now.plus(input.u64());
        assert!(time.floors().permanent >= before.permanent);
        let told = time.unix(now);
        assert!(told.is_none_or(|unix| unix >= time.floors().permanent));
    }
}

fn check_online(verdict: OnlineTime, unix: UnixSeconds, before: TimeFloors, after: TimeFloors) {
    assert_eq!(after.permanent, before.permanent);
    if verdict == OnlineTime::Believed {
        assert!(unix >= before.permanent && after.scoped >= unix);
    } else {
        assert_eq!(after, before, "not believed, yet changed");
    }
}
