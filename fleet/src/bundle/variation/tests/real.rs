//! Real sensors, from files beside the project: no alarm on what is normal, and one on the event
//! that is known.

use std::path::Path;

use super::*;

/// Columns of a file, by place; counted from the right if the place is negative.
fn columns<const N: usize>(name: &str, places: [isize; N]) -> Option<[Vec<f32>; N]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/datasets");
    let path = path.join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        let because = format!("{} is not there", path.display());
        let hint = "put the shared data beside the project";
        crate::skip::skip("critical values of real sensors", &because, hint);
        return None;
    };
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    let column = |place: isize| {
        let cell = |row: &Vec<&str>| {
            let at = match usize::try_from(place) {
                Ok(at) => at,
                Err(_) => row.len() - place.unsigned_abs(),
            };
            row[at].parse::<f32>().expect("a number")
        };
        rows.iter().map(cell).collect()
    };
    Some(places.map(column))
}

/// Each normal day of this week lies far from the others: PSI is 1 to 7. Light is on or off.
#[test]
fn a_week_of_an_office_does_not_alarm() {
    for name in ["occupancy/datatraining.txt", "occupancy/datatest.txt"] {
        let Some(all) = columns(name, [-6, -5, -4, -3, -2]) else {
            return;
        };
        let rule = Blocks::of(all[0].len(), all.len(), None).expect("enough");
        for (at, column) in all.iter().enumerate() {
            assert_eq!(alarms_when_left_out(column, &rule), [], "{name} {at}");
            assert_eq!(breaches_when_left_out(column, &rule), [], "{name} {at}");
        }
    }
}

/// Bearing 1 fails at row 984, a row each ten minutes: the reference is rows 0 to 399.
#[test]
fn a_bearing_alarms_days_before_it_fails_and_not_before_it_wears() {
    let Some(all) = columns("ims-bearing/2nd_test_resample_10minutes.csv", [2, 3, 4, 5]) else {
        return;
    };
    let rule = Blocks::of(400, all.len(), None).expect("enough");
    let rows: Vec<Vec<(Kind, usize)>> = all
        .iter()
        .map(|column| {
            let limits = rule.limits(&scale(&column[..400]), &column[..400]);
            let found = began(&cut(column, &column[..400], 20), limits);
            found
                .into_iter()
                .map(|(kind, at)| (kind, (at + 1) * 20))
                .collect()
        })
        .collect();
    let (location, spread, outside) = (Kind::LocationHigh, Kind::SpreadHigh, Kind::OutOfRange);
    // The rows after which alarms begin; bearing 1 is the first, 2.8 days before the end.
    let expect: [&[(Kind, usize)]; 4] = [
        &[(location, 580), (outside, 580), (spread, 740)],
        &[(outside, 860), (location, 880)],
        &[(location, 940), (spread, 980)],
        &[(location, 680), (outside, 680), (spread, 960)],
    ];
    assert_eq!(rows, expect);
}

/// Prices and demand of a second state that took no part for a year.
#[test]
fn a_market_that_opens_is_a_breach() {
    let Some(all) = columns("elec2/elec.csv", [3, 4, 5]) else {
        return;
    };
    let rule = Blocks::of(17_424, 7, None).expect("enough");
    for column in all {
        let reference = &column[..17_424];
        let limits = rule.limits(&scale(reference), reference);
        let blocks = cut(&column, reference, rule.rows);
        let closed = 17_424 / rule.rows;
        let first = began(&blocks, limits).into_iter().min_by_key(|(_, at)| *at);
        let (kind, at) = first.expect("an alarm");
        assert!((closed..=closed + 2).contains(&at), "{kind} {at} {closed}");
    }
}
