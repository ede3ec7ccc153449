//! What an agent sends holds no value that it saw or computed: counts only.
//!
//! Everything that it would send is taken from `muster-agent export`, which writes the same signed
//! documents that go to the broker. What crosses the wire is in `packet_capture`.

use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::raw_values::{leaks, looks, times_min};
use muster_tests::settings::Settings;
use muster_tests::wait;
use std::fs;
use std::path::Path;

use super::story::bearing;

/// Values that nothing else has: no quantile, no round number.
const ROWS: [[f32; 4]; 2] = [
    [0.061_713_27, 0.070_294_19, 0.083_175_43, 0.047_261_91],
    [0.063_829_57, 0.074_618_31, 0.081_347_29, 0.041_938_67],
];
const ROWS_OF_WINDOW: usize = 60;
const WINDOWS: usize = 8;

/// All bytes of the files below a folder.
fn read_all(folder: &Path, into: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            read_all(&entry.path(), into);
        } else {
            into.extend(fs::read(entry.path()).expect("a file"));
        }
    }
}

#[test]
fn no_value_that_was_seen_or_computed_is_in_what_is_sent() {
    let fleet = Fleet::start();
    let device = Device::start_new(&fleet, "press-01", &Settings::default());
    fleet.ship(&bearing("1.0.0"));
    fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
    let (closed, _) = device.wait_told("bearing", 0);
    fleet.proxy().cut();
    let mut values: Vec<f32> = ROWS.into_iter().flatten().collect();
    for window in 1..=WINDOWS {
        for row in ROWS {
            let (_, scores) = device
                .scores("bearing", &[row; ROWS_OF_WINDOW / ROWS.len()])
                .expect("it serves");
            values.extend(scores.iter().map(|score| *score as f32));
        }
        wait::until("the window to close", wait::LATER, || {
            let model = device.model("bearing")?;
            let now = model["closed_windows"].as_u64().unwrap_or(0);
            (now >= closed + window as u64)
                .then_some(())
                .ok_or(model.to_string())
        });
    }
    values.sort_by(f32::total_cmp);
    values.dedup();
    let stick = fleet.folder().join("stick");
    let out = stick.to_str().expect("our paths are text");
    device.cli(&["export", "--out", out]).ok();
    let mut bytes = Vec::new();
    read_all(&stick, &mut bytes);
    assert!(
        bytes.len() > WINDOWS * 100,
        "{} bytes were exported",
        bytes.len()
    );
    assert_eq!(leaks(&values, &bytes), []);

    // The same search finds what is there.
    for look in looks(values[0]) {
        let often = times_min(&look, 2 * bytes.len());
        let planted = [&bytes[..], &[b"-", &look.bytes[..]].concat().repeat(often)].concat();
        let found = leaks(&values, &planted);
        assert!(found.iter().any(|leak| leak.form == look.form), "{look:?}");
    }
}
