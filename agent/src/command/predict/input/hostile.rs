//! Hostile rows: every file ends in rows or in a sentence, and no row holds more than its file.

use super::tests::{read_all, wanted};
use super::{CsvRows, Header, JsonlRows, NpyRows};
use crate::command::predict::form::tests::form;
use crate::hostile::mutated;
use proptest::prelude::*;
use std::io::{Seek as _, Write as _};

const CSV: &str = "\u{feff}a,b,id\r\n1,-2.5e3,\"p, \"\"q\"\"\r\n r\"\r\n3,,s\r\n4,nan,t\r\n";
const JSONL: &str = "{\"x\": [1, 2], \"id\": \"\u{e4}\\n\"}\n\n{\"b\": null, \"a\": 3, \"id\": 7}\n\
                     {\"x\": [[1.5, -2e9]], \"id\": {}}\n";

/// Two rows of two doubles, as numpy writes them.
fn npy(order: &str) -> Vec<u8> {
    let header =
        format!("{{'descr': '>f8', 'fortran_order': {order}, 'shape': (2, 2), }}         \n");
    let len = (header.len() as u16).to_le_bytes();
    let data = [1.0_f64, 2.0, 3.0, f64::NAN].map(f64::to_be_bytes).concat();
    [b"\x93NUMPY\x01\x00", &len[..], header.as_bytes(), &data].concat()
}

/// A line for each row, and not more rows than there are bytes.
fn check(lines: &[String], bytes: &[u8]) {
    assert!(lines.len() <= bytes.len() + 1, "{} rows", lines.len());
    assert!(lines.iter().all(|line| !line.is_empty()));
}

proptest! {
    #[test]
    fn csv(bytes in mutated(CSV.into()), semicolon in any::<bool>(), header in any::<bool>()) {
        let form = form(&[("x", "FP32", &[-1, 2], &["a", "b"])]);
        let delimiter = if semicolon { b';' } else { b',' };
        let (header, carried) = if header { (Header::Present, "id") } else { (Header::Absent, "3") };
        let wanted = wanted(&[], &[carried]);
        if let Ok(rows) = CsvRows::open(&bytes[..], (delimiter, header), &form, &wanted, "rows.csv") {
            check(&read_all(rows), &bytes);
        }
    }

    #[test]
    fn jsonl(bytes in mutated(JSONL.into()), by_columns in any::<bool>()) {
        let form = form(&[("x", "FP32", &[-1, 2], &["a", "b"])]);
        let columns: &[&str] = if by_columns { &["a", "b"] } else { &[] };
        let rows = JsonlRows::open(&bytes[..], &form, &wanted(columns, &["id"]), "rows.jsonl");
        check(&read_all(rows), &bytes);
    }

    #[test]
    fn npy_arrays(bytes in prop_oneof![mutated(npy("False")), mutated(npy("True"))]) {
        let form = form(&[("x", "FP32", &[-1, 2], &[])]);
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&bytes).expect("the disk takes it");
        file.rewind().expect("a file");
        if let Ok(rows) = NpyRows::open(file, &form, "rows.npy") {
            check(&read_all(rows), &bytes);
        }
    }
}
