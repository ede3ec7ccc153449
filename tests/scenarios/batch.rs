//! Batch prediction: the same rows in every kind of file, files that are no good, and files that
//! are larger than what the client keeps.

use muster_tests::cli::Said;
use muster_tests::device::Device;
use muster_tests::fleet::Fleet;
use muster_tests::program::{self, Program};
use muster_tests::settings::Settings;
use muster_tests::wait;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const COLUMNS: [&str; 4] = ["bearing_1", "bearing_2", "bearing_3", "bearing_4"];

/// A device that serves the model of the story.
struct Stage {
    fleet: Fleet,
    device: Device,
}

impl Stage {
    fn set() -> Self {
        let fleet = Fleet::start();
        let device = Device::start_new(&fleet, "press-01", &Settings::default());
        fleet.ship(&super::story::bearing("1.0.0"));
        fleet.wait_receipt("press-01", "1.0.0", "committed", wait::SOON);
        Self { fleet, device }
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("the disk takes it");
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.fleet.folder().join(name)
    }

    fn predict(&self, file: &Path, arguments: &[&str]) -> Said {
        let file = file.to_str().expect("our paths are text");
        self.device
            .cli(&[&["predict", "bearing", file], arguments].concat())
    }
}

/// The first rows of the story's reference.
fn rows(count: usize) -> Vec<[f64; 4]> {
    let story = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/story/reference.csv");
    let text = fs::read_to_string(story).expect("ours");
    let row = |line: &str| {
        let numbers: Vec<f64> = line
            .split(',')
            .map(|n| n.parse().expect("a number"))
            .collect();
        <[f64; 4]>::try_from(numbers).expect("four columns")
    };
    text.lines().skip(1).cycle().take(count).map(row).collect()
}

fn csv(rows: &[[f64; 4]]) -> String {
    let line = |row: &[f64; 4]| row.map(|n| n.to_string()).join(",") + "\n";
    COLUMNS.join(",") + "\n" + &rows.iter().map(line).collect::<String>()
}

/// A label with everything in it that a careless writer loses.
fn label(row: usize) -> String {
    format!("row {row}, \"quoted\"\r\nand ä")
}

/// Columns in an odd order, with an id, a label and one that nobody asked for.
fn odd_csv(rows: &[[f64; 4]]) -> String {
    let mut text = "\u{feff}bearing_3;id;bearing_1;more;bearing_4;label;bearing_2\r\n".to_owned();
    for (n, [a, b, c, d]) in rows.iter().enumerate() {
        let label = label(n).replace('"', "\"\"");
        text += &format!("{c};00{n};{a};x;{d};\"{label}\";{b}\r\n");
    }
    text
}

fn jsonl(rows: &[[f64; 4]]) -> String {
    let line = |(n, row): (usize, &[f64; 4])| {
        let id = format!("00{n}");
        let row = serde_json::json!({"label": label(n), "features": row, "id": id});
        format!("{row}\n")
    };
    rows.iter().enumerate().map(line).collect()
}

/// In Fortran order and big endian, as a table of columns from another machine.
fn npy(rows: &[[f64; 4]]) -> Vec<u8> {
    let shape = (rows.len(), 4);
    let dict = format!("{{'descr': '>f8', 'fortran_order': True, 'shape': {shape:?}, }}\n");
    let len = u16::try_from(dict.len()).expect("short").to_le_bytes();
    let columns = (0..4).flat_map(|column| rows.iter().map(move |row| row[column]));
    let data: Vec<u8> = columns.flat_map(f64::to_be_bytes).collect();
    [b"\x93NUMPY\x01\x00", &len[..], dict.as_bytes(), &data].concat()
}

/// Scores of a printed CSV file whose last columns are outputs.
fn scores_of_csv(text: &str) -> Vec<f32> {
    let mut lines = text.lines();
    let header: Vec<_> = lines.next().expect("a header").split(',').collect();
    let score = header
        .iter()
        .position(|name| *name == "score")
        .expect("a score");
    let score = |line: &str| line.split(',').nth(score).and_then(|n| n.parse().ok());
    lines.map(|line| score(line).expect("a number")).collect()
}

#[test]
fn the_same_rows_in_every_format_get_the_same_predictions() {
    let stage = Stage::set();
    let rows = rows(700);
    let expect = scores_of_csv(&stage.predict(&stage.file("rows.csv", csv(&rows)), &[]).ok());
    assert_eq!(expect.len(), rows.len());
    let ids = ["--id", "id", "--label", "label"];
    let out = stage.path("out.jsonl");
    let out = out.to_str().expect("our paths are text");
    let odd = stage.file("odd.csv", odd_csv(&rows));
    let said = stage.predict(
        &odd,
        &[&ids[..], &["--delimiter", ";", "--out", out]].concat(),
    );
    assert!(said.stderr.contains("predicted 700 rows in "), "{said}");
    said.ok();
    let of_csv = fs::read_to_string(out).expect("it was written");
    let named = stage.file("rows.jsonl", jsonl(&rows));
    let of_jsonl = stage.predict(&named, &ids).ok();
    assert_eq!(of_csv, of_jsonl, "CSV and JSONL");
    for (n, line) in of_jsonl.lines().enumerate() {
        let row: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(
            (&row["id"], &row["label"]),
            (&format!("00{n}").into(), &label(n).into())
        );
        let score = row["outputs"]["score"][0].as_f64().expect("a number");
        assert_eq!(score as f32, expect[n], "row {n}");
        assert_eq!(
            row["outputs"]["reconstruction"].as_array().map(Vec::len),
            Some(4)
        );
    }
    let array = stage.file("rows.npy", npy(&rows));
    assert_eq!(
        scores_of_csv(&stage.predict(&array, &[]).ok()),
        expect,
        "NPY as CSV"
    );
    let out = stage.path("out.npy");
    let path = out.to_str().expect("our paths are text");
    stage
        .predict(&array, &["--output-name", "score", "--out", path])
        .ok();
    let written = fs::read(&out).expect("it was written");
    let data = &written[written.len() - rows.len() * 4..];
    let scores: Vec<f32> = data
        .as_chunks()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect();
    assert_eq!(scores, expect, "NPY as NPY");
    let text = String::from_utf8_lossy(&written[..128]).into_owned();
    assert!(text.contains("'shape': (700, 1, )"), "{text}");
}

#[test]
fn what_is_carried_comes_back_verbatim_as_csv() {
    let stage = Stage::set();
    let odd = stage.file("odd.csv", odd_csv(&rows(2)));
    let arguments = [
        "--delimiter",
        ";",
        "--carry",
        "label,id",
        "--output-name",
        "score",
    ];
    let said = stage.predict(&odd, &arguments).ok();
    for n in 0..2 {
        let quoted = format!("\"{}\";00{n};", label(n).replace('"', "\"\""));
        assert!(said.contains(&quoted), "{quoted:?} is not in {said:?}");
    }
    assert!(said.starts_with("label;id;score\n"), "{said}");
}

/// Arguments after the file, exit code, and parts of what it says.
type Refusal<'a> = (&'a str, &'a [u8], &'a [&'a str], i32, &'a [&'a str]);

#[test]
fn files_that_are_no_good_are_refused_with_the_place() {
    let stage = Stage::set();
    let header = "bearing_1,bearing_2,bearing_3,bearing_4\n";
    let with = |lines: &str| format!("{header}{lines}").into_bytes();
    let (word, short, missing, two) = (
        with("1,2,3,4\n1,x,3,4\n"),
        with("1,2,3,4\n1,2,3\n"),
        with("1,2,3,4\n"),
        with("1,2,3,4\n"),
    );
    let cut = npy(&rows(3));
    let cut = &cut[..cut.len() - 1];
    let cases: &[Refusal<'_>] = &[
        ("a.csv", b"", &[], 3, &["it is empty"]),
        ("a.csv", header.as_bytes(), &[], 3, &["no rows"]),
        (
            "a.csv",
            &word,
            &[],
            3,
            &["line 3", "bearing_2", "\"x\" is no FP32"],
        ),
        ("a.csv", &short, &[], 3, &["line 3", "3 fields"]),
        (
            "a.csv",
            b"a,b\n1,2\n",
            &[],
            3,
            &["2 columns are taken", "4 for \"features\""],
        ),
        (
            "a.csv",
            b"bearing_1,b,c,d\n1,2,3,4\n",
            &[],
            3,
            &["no column \"bearing_2\""],
        ),
        (
            "a.csv",
            b"1,2,3,4\n1,2,3,4\n",
            &[],
            3,
            &["numbers for names"],
        ),
        ("a.csv", &missing, &["--id", "nr"], 3, &["no column \"nr\""]),
        (
            "a.csv",
            &two,
            &["--output-name", "none"],
            7,
            &["no output \"none\""],
        ),
        ("a.csv", &two, &["--out-format", "npy"], 2, &["not printed"]),
        ("a.txt", &two, &[], 2, &["does not say what it holds"]),
        (
            "a.jsonl",
            b"{\"features\": [1, 2, 3]}\n",
            &[],
            3,
            &["line 1", "shape [4]"],
        ),
        ("a.jsonl", b"[1, 2, 3, 4]\n[1, 2,\n", &[], 3, &["line 2"]),
        (
            "a.jsonl",
            b"[1, 2, 3, NaN]\n",
            &[],
            3,
            &["line 1", "write null"],
        ),
        ("a.npy", b"1,2,3,4\n", &[], 3, &["no NPY file"]),
        ("a.npy", cut, &[], 3, &["cut off"]),
        ("a.npy", b"x", &["--id", "nr"], 2, &["no names for --id"]),
    ];
    for (name, bytes, arguments, code, parts) in cases {
        let file = stage.file(name, bytes);
        stage.predict(&file, arguments).refused(*code, parts);
    }
    let nowhere = stage.path("nowhere.csv");
    stage.predict(&nowhere, &[]).refused(7, &["nowhere.csv"]);
    let out = stage.path("none/out.csv");
    let rows = stage.file("a.csv", &two);
    let arguments = ["--out", out.to_str().expect("our paths are text")];
    stage
        .predict(&rows, &arguments)
        .refused(7, &["none/out.csv"]);
    let rows = rows.to_str().expect("our paths are text");
    let said = stage.device.cli(&["predict", "nobody", rows]);
    said.refused(7, &["serves \"bearing\", not \"nobody\""]);
}

#[test]
fn a_bad_row_stops_the_batch_or_is_left_out() {
    let stage = Stage::set();
    let mut lines: Vec<String> = csv(&rows(40)).lines().map(str::to_owned).collect();
    lines[21] = "1,2,3,".to_owned() + "four";
    let file = stage.file("rows.csv", lines.join("\n"));
    let out = stage.path("out.csv");
    let to_file = ["--out", out.to_str().expect("our paths are text")];
    let stopped = stage.predict(&file, &[]);
    stopped.refused(3, &["line 22"]);
    assert_eq!(scores_of_csv(&stopped.stdout).len(), 20, "{stopped}");
    stage.predict(&file, &to_file).refused(3, &["line 22"]);
    assert!(!out.exists());
    let skip = [&to_file[..], &["--on-error", "skip"]].concat();
    let skipped = stage.predict(&file, &skip);
    skipped.refused(3, &["left out line 22", "1 of 40 rows"]);
    let written = fs::read_to_string(&out).expect("it was written");
    assert_eq!(scores_of_csv(&written).len(), 39);
    let parts = fs::read_dir(stage.fleet.folder()).expect("a folder");
    let parts = parts.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert_eq!(parts.filter(|name| name.ends_with(".part")).count(), 0);
}

#[test]
fn a_large_file_takes_no_more_memory_than_a_small_one() {
    let stage = Stage::set();
    let peak_kib = |count: usize| {
        let file = stage.file("rows.csv", csv(&rows(count)));
        let out = stage.path("out.csv");
        let mut command = Command::new(program::path("muster-agent"));
        command.args(["predict", "bearing"]).arg(file);
        command.arg("--out").arg(&out);
        command.arg("--state").arg(stage.device.state());
        let mut client = Program::start("predict", command, stage.fleet.folder());
        let status = format!("/proc/{}/status", client.pid());
        let mut peak = 0;
        wait::until("the end of the batch", wait::LATER, || {
            peak = peak.max(high_water_kib(&status).unwrap_or(0));
            client.has_ended().then_some(()).ok_or("it runs")
        });
        assert!(client.ended().success(), "{}", client.log());
        let written = fs::read_to_string(&out).expect("it was written");
        assert_eq!(scores_of_csv(&written).len(), count);
        peak
    };
    let (small, large) = (peak_kib(5_000), peak_kib(50_000));
    assert!(
        small > 0 && large < small + 8 * 1024,
        "{small} KiB for 5000 rows, {large} KiB for 50000"
    );
}

/// The largest resident memory that a process has had.
fn high_water_kib(status: &str) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
