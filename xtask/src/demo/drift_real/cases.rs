//! The cases and what is expected of them, all in one place. Nothing here runs.

use std::ops::Range;

use super::case::{Answer, BROKEN, Case, Change, Expected, Fault, Model, Scene, Source, What};
use super::recording::{Column, Dates, Recording};

/// Rows of the room that a device counts in a window, or in a block of its reference.
const HOUR_ROWS: usize = 60;
/// Rows of the machine in a window: the fewest that are looked at, 3 hours and 20 minutes of it.
const MACHINE_ROWS: usize = 20;
/// Half-hours in a window of the market: six days and six hours.
const MARKET_ROWS: usize = 300;
/// Devices that share the room.
const ROOM_DEVICES: usize = 4;
/// The first row of 3 February in the recording of the room that is replayed, by device.
const ROOM_ONSET: usize = 146;

const fn column(name: &'static str, from_right: usize) -> Column {
    Column { name, from_right }
}

const ROOM_COLUMNS: &[Column] = &[
    column("temperature_c", 6),
    column("humidity_pct", 5),
    column("co2_ppm", 3),
    column("humidity_ratio", 2),
];
static ROOM: Source = Source {
    name: "occupancy, week 1",
    file: "datasets/occupancy/datatraining.txt",
    columns: ROOM_COLUMNS,
    dates: Dates::FromRight(7),
};
static ROOM_BEFORE: Source = Source {
    name: "occupancy, the days before",
    file: "datasets/occupancy/datatest.txt",
    columns: ROOM_COLUMNS,
    dates: Dates::FromRight(7),
};
static MACHINE: Source = Source {
    name: "bearing test 2",
    file: "datasets/ims-bearing/2nd_test_resample_10minutes.csv",
    columns: &[
        column("bearing1", 4),
        column("bearing2", 3),
        column("bearing3", 2),
        column("bearing4", 1),
    ],
    dates: Dates::FromRight(5),
};
static MARKET: Source = Source {
    name: "elec2",
    file: "datasets/elec2/elec.csv",
    columns: &[
        column("nswdemand", 5),
        column("vicprice", 4),
        column("vicdemand", 3),
        column("transfer", 2),
    ],
    dates: Dates::HalfHours,
};
const ROOM_MODEL: Model = Model::Shared("trained/occupancy/occupancy_v1.onnx");
const MACHINE_MODEL: Model = Model::Shared("trained/ims-bearing/bearing_ae.onnx");
const MACHINE_SENSORS: &[&str] = &["bearing1", "bearing2", "bearing3", "bearing4"];

/// Recordings that are read.
pub(super) fn sources() -> [&'static Source; 4] {
    [&ROOM, &ROOM_BEFORE, &MACHINE, &MARKET]
}

/// All scenes, from the recordings of [`sources`].
pub(super) fn scenes(recordings: &[Recording; 4]) -> Vec<Scene> {
    let [room, before, machine, _] = recordings;
    let mut alone = days(room, None);
    alone.extend(days(room, Some(HOUR_ROWS)));
    alone.extend([bearing(machine), last_rows(), market()]);
    let together = FAULTS.iter().map(|made| shared_room(room, before, made));
    vec![
        Scene {
            devices: 1,
            cases: alone,
        },
        Scene {
            devices: ROOM_DEVICES,
            cases: together.collect(),
        },
    ]
}

/// Each whole day of the week against all others.
fn days(room: &Recording, block_rows: Option<usize>) -> Vec<Case> {
    const WHOLE_DAY_ROWS: usize = 24 * 60;
    let whole = room.days().into_iter();
    let whole = whole.filter(|(_, rows)| rows.len() == WHOLE_DAY_ROWS);
    let case = |(day, left_out): (String, Range<usize>)| {
        let blocks = match block_rows {
            None => "usual blocks (300 rows, 5 h)".to_owned(),
            Some(rows) => format!("blocks of {rows} rows (1 h)"),
        };
        let answer = match (block_rows, day.as_str()) {
            (Some(_), "2015-02-09") => Answer::NotYet(
                "three hours in a row are fuller than any other, and blocks of an hour, which \
                 resemble each other for half a day, make limits that are too narrow",
            ),
            _ => Answer::Found,
        };
        Case {
            id: format!("day-{}-{}", &day[5..], block_rows.unwrap_or(300)),
            done: format!("{day} is left out, {blocks}"),
            source: &ROOM,
            model: ROOM_MODEL,
            reference: (0..room.rows.len())
                .filter(|row| !left_out.contains(row))
                .collect(),
            block_rows,
            replayed: &ROOM,
            rows: vec![left_out.collect()],
            window_rows: HOUR_ROWS,
            fault: None,
            expected: vec![Expected {
                asked: "no incident",
                what: What::Nothing,
                answer,
            }],
        }
    };
    whole.map(case).collect()
}

/// A run to failure; the sensors stay dead for a while, as they would have.
fn bearing(machine: &Recording) -> Case {
    let rows = machine.rows.len();
    let dead = [rows - 2, rows - 1];
    let mut replayed: Vec<usize> = (400..rows).collect();
    replayed.extend(dead.into_iter().cycle().take(56));
    Case {
        id: "bearing".to_owned(),
        done: "rows 400 to the end, and the last two, of dead sensors, 28 times more".to_owned(),
        source: &MACHINE,
        model: MACHINE_MODEL,
        reference: (0..400).collect(),
        block_rows: None,
        replayed: &MACHINE,
        rows: vec![replayed],
        window_rows: MACHINE_ROWS,
        fault: None,
        expected: vec![
            Expected {
                asked: "no incident in rows 400–500",
                what: What::NothingBefore(500),
                answer: Answer::Found,
            },
            Expected {
                asked: "the first incident is of bearing 1, days before the end",
                what: What::First("bearing1", 534..=696),
                answer: Answer::Found,
            },
            Expected {
                asked: "dead sensors are a fault of sensors",
                what: What::Cause("out_of_range", MACHINE_SENSORS, rows - 2),
                answer: Answer::Found,
            },
        ],
    }
}

/// The recorded rows alone.
fn last_rows() -> Case {
    Case {
        id: "bearing-end".to_owned(),
        done: "rows 864 to the end: two rows of dead sensors, and no more".to_owned(),
        rows: vec![(864..984).collect()],
        expected: vec![Expected {
            asked: "dead sensors are a fault of sensors",
            what: What::Cause("out_of_range", MACHINE_SENSORS, 982),
            answer: Answer::NotYet(
                "a window of fewer than 20 rows is sent without features, and a fault takes two \
                 windows: the recording ends after two rows",
            ),
        }],
        source: &MACHINE,
        model: MACHINE_MODEL,
        reference: (0..400).collect(),
        block_rows: None,
        replayed: &MACHINE,
        window_rows: MACHINE_ROWS,
        fault: None,
    }
}

/// Columns that begin to vary.
fn market() -> Case {
    Case {
        id: "market".to_owned(),
        done: "rows 15,000 to 19,799; three columns are constant until row 17,423".to_owned(),
        source: &MARKET,
        model: Model::Doubling,
        reference: (0..15_000).collect(),
        block_rows: None,
        replayed: &MARKET,
        rows: vec![(15_000..19_800).collect()],
        window_rows: MARKET_ROWS,
        fault: None,
        expected: vec![
            Expected {
                asked: "no incident while they are constant",
                what: What::NothingBefore(17_423),
                answer: Answer::Found,
            },
            Expected {
                asked: "drift of all three once they vary, within 12 days",
                what: What::Each(&["vicprice", "vicdemand", "transfer"], 17_424..=17_999),
                answer: Answer::Found,
            },
        ],
    }
}

/// A fault that is made.
struct Made {
    id: &'static str,
    done: &'static str,
    column: usize,
    change: Change,
    cause: &'static str,
    answer: Answer,
}

const FAULTS: [Made; 5] = [
    Made {
        id: "sentinel-temperature",
        done: "−200 in every tenth row of temperature",
        column: 0,
        change: Change::Sentinel { every: 10 },
        cause: "out_of_range",
        answer: Answer::Found,
    },
    Made {
        id: "sentinel-humidity",
        done: "−200 in every tenth row of humidity",
        column: 1,
        change: Change::Sentinel { every: 10 },
        cause: "out_of_range",
        answer: Answer::NotYet(
            "a tenth of −200 is 41 sd away and moves the mean by 4: blocks of this reference vary \
             as much. Charts of the device's own normal see it, after a day of windows",
        ),
    },
    Made {
        id: "sentinels-humidity",
        done: "−200 in every third row of humidity",
        column: 1,
        change: Change::Sentinel { every: 3 },
        cause: "out_of_range",
        answer: Answer::Found,
    },
    Made {
        id: "added-temperature",
        done: "7 °C added to temperature",
        column: 0,
        change: Change::Added(7.0),
        cause: "calibration",
        answer: Answer::Found,
    },
    Made {
        id: "added-humidity",
        done: "40 points added to humidity",
        column: 1,
        change: Change::Added(40.0),
        cause: "calibration",
        answer: Answer::Found,
    },
];

/// Devices that take turns in seeing the room, one of which sends something else from a day on.
fn shared_room(room: &Recording, before: &Recording, made: &'static Made) -> Case {
    let turns = |rows: usize| (0..ROOM_DEVICES).map(move |of| (of..rows).step_by(ROOM_DEVICES));
    let column = ROOM_COLUMNS[made.column].name;
    Case {
        id: made.id.to_owned(),
        done: format!(
            "{} of press-{:02} from 3 February on",
            made.done,
            BROKEN + 1
        ),
        source: &ROOM,
        model: ROOM_MODEL,
        reference: turns(room.rows.len()).flatten().collect(),
        block_rows: Some(HOUR_ROWS),
        replayed: &ROOM_BEFORE,
        rows: turns(before.rows.len()).map(Iterator::collect).collect(),
        window_rows: HOUR_ROWS,
        fault: Some(Fault {
            column: made.column,
            from: ROOM_ONSET,
            change: made.change,
        }),
        expected: vec![
            Expected {
                asked: "no incident before",
                what: What::NothingBefore(ROOM_ONSET * ROOM_DEVICES),
                answer: Answer::Found,
            },
            Expected {
                asked: match made.cause {
                    "calibration" => "calibration of that sensor of that device, and no other",
                    _ => "a fault of that sensor of that device, and no other",
                },
                what: What::OfBroken(made.cause, column),
                answer: made.answer,
            },
        ],
    }
}
