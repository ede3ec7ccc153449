//! Rows of an NPY file (NEP 1, format versions 1 to 3): an array whose first axis counts them.
//!
//! Never Python objects, text or records: those are refused by name. Our own reader: the header
//! comes from outside, and shapes are multiplied with care.

use super::Source;
use crate::command::predict::form::{Form, Input};
use crate::command::predict::row::{BadRow, Cell, Fault, Place, Row};
use crate::error::Failure;
use crate::tensor::{Datatype, Element, RANK_MAX};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header; numpy pads its own to 64 or 128 bytes.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Bytes that are read at once, unless a row has more.
const READ_BYTES: usize = 1 << 20;
const HINT: &str = "save one array of numbers with numpy.save, its first axis the rows";

/// An NPY file that is being read.
#[derive(Debug)]
pub(in super::super) struct NpyRows {
    file: File,
    what: String,
    array: Array,
    data_starts: u64,
    input: Input,
    /// Shape of a row as the model takes it.
    row: Vec<usize>,
    next: u64,
    /// Rows that were read ahead, in C order, little endian.
    ahead: Vec<u8>,
    ahead_at: usize,
}

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Array {
    datatype: Datatype,
    bytes: ByteOrder,
    order: Order,
    rows: u64,
    /// Shape of a row.
    row: Vec<usize>,
    row_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteOrder {
    Little,
    Big,
}

/// Which axis is contiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// The last.
    C,
    /// The first: how tables of columns are kept.
    Fortran,
}

impl NpyRows {
    /// Reads the header, and checks that all of the array is there and fits the model.
    ///
    /// # Errors
    /// It does not.
    pub(in super::super) fn open(mut file: File, form: &Form, what: &str) -> Result<Self, Failure> {
        let bad = |because: String| Failure::Data {
            what: what.to_owned(),
            because,
            hint: HINT,
        };
        let input = form.single().ok_or_else(|| {
            bad("it holds one array, and the model has several inputs: use JSONL".into())
        })?;
        let (header, data_starts) = read_header(&mut file).map_err(bad)?;
        let array = Array::parse(&header).map_err(bad)?;
        array.check(input).map_err(bad)?;
        let bytes = file.metadata().map_err(|e| bad(e.to_string()))?.len();
        let held = bytes.saturating_sub(data_starts);
        if array.bytes().is_none_or(|needed| held < needed) {
            let rows = array.rows;
            return Err(bad(format!(
                "it is cut off: {rows} rows are announced, {held} bytes there"
            )));
        }
        let elements = array.row.iter().product();
        Ok(Self {
            row: input.fit(&array.row, elements).map_err(bad)?,
            input: input.clone(),
            file,
            what: what.to_owned(),
            array,
            data_starts,
            next: 0,
            ahead: Vec::new(),
            ahead_at: 0,
        })
    }

    fn read_ahead(&mut self) -> io::Result<()> {
        let row_bytes = self.array.row_bytes.max(1);
        let left = self.array.rows - self.next;
        let rows = left.min((READ_BYTES / row_bytes).max(1) as u64) as usize;
        self.ahead.resize(rows * self.array.row_bytes, 0);
        self.ahead_at = 0;
        match self.array.order {
            Order::C => {
                let at = self.data_starts + self.next * self.array.row_bytes as u64;
                self.file.seek(SeekFrom::Start(at))?;
                self.file.read_exact(&mut self.ahead)?;
            }
            Order::Fortran => self.gather(rows)?,
        }
        if self.array.bytes == ByteOrder::Big {
            let size = self.array.datatype.size();
            self.ahead.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        Ok(())
    }

    /// Each element of a row lies a whole column behind the one before it.
    fn gather(&mut self, rows: usize) -> io::Result<()> {
        let (size, row_bytes) = (self.array.datatype.size(), self.array.row_bytes);
        let mut column = vec![0; rows * size];
        for (place, element) in fortran_places(&self.array.row).enumerate() {
            let before = place as u64 * self.array.rows + self.next;
            let at = self.data_starts + before * size as u64;
            self.file.seek(SeekFrom::Start(at))?;
            self.file.read_exact(&mut column)?;
            for (row, bytes) in column.chunks_exact(size).enumerate() {
                let to = row * row_bytes + element * size;
                self.ahead[to..to + size].copy_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn row(&self, place: Place) -> Result<Row, BadRow> {
        let bytes = &self.ahead[self.ahead_at..self.ahead_at + self.array.row_bytes];
        let bytes = convert(bytes, self.array.datatype, self.input.datatype);
        let bytes = bytes.map_err(|because| BadRow { place, because })?;
        Ok(Row {
            place,
            carried: Vec::new(),
            cells: vec![Cell {
                shape: self.row.clone(),
                bytes,
            }],
        })
    }
}

impl Source for NpyRows {
    fn next(&mut self) -> Result<Option<Row>, Fault> {
        if self.next == self.array.rows {
            return Ok(None);
        }
        if self.ahead_at == self.ahead.len() {
            self.read_ahead().map_err(|error| {
                Fault::File(Failure::Data {
                    what: self.what.clone(),
                    because: error.to_string(),
                    hint: "check the file and the disk that holds it",
                })
            })?;
        }
        let row = self.row(Place::Index(self.next));
        self.next += 1;
        self.ahead_at += self.array.row_bytes;
        row.map(Some).map_err(Fault::Row)
    }

    fn bytes_read(&self) -> u64 {
        self.data_starts + self.next * self.array.row_bytes as u64
    }
}

impl Array {
    fn parse(header: &str) -> Result<Array, String> {
        let quoted = |rest: &str| Some(rest.strip_prefix('\'')?.split_once('\'')?.0.to_owned());
        let descr = value(header, "descr").and_then(quoted);
        let descr = descr.ok_or("it holds records or objects, no plain numbers")?;
        let (datatype, bytes) = datatype(&descr)
            .ok_or_else(|| format!("its type {descr:?} is no number that models take"))?;
        let order = match value(header, "fortran_order") {
            Some(rest) if rest.starts_with("False") => Order::C,
            Some(rest) if rest.starts_with("True") => Order::Fortran,
            Some(_) | None => return Err("its header does not say its order".into()),
        };
        let shape = value(header, "shape").and_then(shape);
        let shape = shape.ok_or("its header has no shape")?;
        let (&rows, row) = shape.split_first().ok_or("it is one number, no rows")?;
        let row_bytes = row
            .iter()
            .try_fold(datatype.size(), |all, &size| all.checked_mul(size))
            .filter(|&bytes| (1..=crate::tensor::TENSOR_BYTES_MAX).contains(&bytes));
        Ok(Array {
            datatype,
            bytes,
            order,
            rows: rows as u64,
            row: row.to_vec(),
            row_bytes: row_bytes.ok_or_else(|| format!("a row of shape {row:?} is none"))?,
        })
    }

    /// Bytes of all elements.
    fn bytes(&self) -> Option<u64> {
        self.rows.checked_mul(self.row_bytes as u64)
    }

    /// A datatype goes into itself, integers into each other and any number into a float.
    fn check(&self, input: &Input) -> Result<(), String> {
        let (from, to) = (self.datatype, input.datatype);
        let truth = (from == Datatype::Bool) == (to == Datatype::Bool);
        match truth && (to.is_float() || !from.is_float()) {
            true => Ok(()),
            false => Err(format!("it holds {from}, the model takes {to}")),
        }
    }
}

fn read_header(file: &mut File) -> Result<(String, u64), String> {
    let mut start = [0; 8];
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "it is no NPY file, or cut off".to_owned(),
        _ => error.to_string(),
    };
    file.read_exact(&mut start).map_err(broken)?;
    if &start[..MAGIC.len()] != MAGIC {
        return Err("it is no NPY file".into());
    }
    let len = match start[MAGIC.len()] {
        1 => {
            let mut len = [0; 2];
            file.read_exact(&mut len).map_err(broken)?;
            usize::from(u16::from_le_bytes(len))
        }
        2 | 3 => {
            let mut len = [0; 4];
            file.read_exact(&mut len).map_err(broken)?;
            u32::from_le_bytes(len) as usize
        }
        version => return Err(format!("format version {version} is not known")),
    };
    if len > HEADER_BYTES_MAX {
        return Err(format!("its header has {len} bytes"));
    }
    let mut header = vec![0; len];
    file.read_exact(&mut header).map_err(broken)?;
    let header = String::from_utf8(header).map_err(|_| "its header is no text".to_owned())?;
    Ok((header, file.stream_position().map_err(broken)?))
}

/// What follows `'key':` in the dictionary of the header.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{key}':"))?;
    Some(rest.trim_start())
}

fn datatype(descr: &str) -> Option<(Datatype, ByteOrder)> {
    let bytes = match descr.chars().next()? {
        '<' | '|' => ByteOrder::Little,
        '>' => ByteOrder::Big,
        _ => return None,
    };
    let datatype = match &descr[1..] {
        "b1" => Datatype::Bool,
        "u1" => Datatype::U8,
        "i1" => Datatype::I8,
        "u2" => Datatype::U16,
        "i2" => Datatype::I16,
        "u4" => Datatype::U32,
        "i4" => Datatype::I32,
        "u8" => Datatype::U64,
        "i8" => Datatype::I64,
        "f2" => Datatype::F16,
        "f4" => Datatype::F32,
        "f8" => Datatype::F64,
        _ => return None,
    };
    Some((datatype, bytes))
}

fn shape(rest: &str) -> Option<Vec<usize>> {
    let (inner, _) = rest.strip_prefix('(')?.split_once(')')?;
    let dims = inner
        .split(',')
        .map(str::trim)
        .filter(|dim| !dim.is_empty());
    let shape: Result<Vec<usize>, _> = dims.take(RANK_MAX + 1).map(str::parse).collect();
    shape.ok().filter(|shape| shape.len() <= RANK_MAX)
}

/// For each element of a row in Fortran order, its place in C order.
fn fortran_places(row: &[usize]) -> impl Iterator<Item = usize> {
    let elements: usize = row.iter().product();
    let row = row.to_vec();
    (0..elements).map(move |mut place| {
        let mut index = vec![0; row.len()];
        for (axis, &size) in row.iter().enumerate() {
            index[axis] = place % size;
            place /= size;
        }
        let sizes = row.iter().zip(index);
        sizes.fold(0, |at, (&size, index)| at * size + index)
    })
}

fn convert(bytes: &[u8], from: Datatype, to: Datatype) -> Result<Vec<u8>, String> {
    if from == to && from != Datatype::Bool {
        return Ok(bytes.to_vec());
    }
    let mut converted = Vec::with_capacity(bytes.len() / from.size() * to.size());
    for (place, bytes) in bytes.chunks_exact(from.size()).enumerate() {
        let element = Element::read(from, bytes);
        let fits = element.append(to, &mut converted);
        fits.ok_or_else(|| format!("element {place}: {element} does not fit {to}"))?;
    }
    Ok(converted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::predict::form::tests::form;
    use crate::command::predict::input::tests::read_all;
    use std::io::Write as _;

    fn npy(version: u8, descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let order = if fortran { "True" } else { "False" };
        let dict =
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}    \n");
        let len = dict.len() as u32;
        let len = len.to_le_bytes();
        let len = if version == 1 { &len[..2] } else { &len[..] };
        [MAGIC, &[version, 0], len, dict.as_bytes(), data].concat()
    }

    fn check(bytes: &[u8], form: &Form, expect: Result<&[&str], &str>) {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("the disk takes it");
        file.rewind().expect("a file");
        let rows = NpyRows::open(file, form, "rows.npy");
        let got = rows.map(read_all).map_err(|failure| failure.to_string());
        match (got, expect) {
            (Ok(rows), Ok(expect)) => assert_eq!(rows, expect),
            (Err(because), Err(part)) => assert!(because.contains(part), "{because}"),
            (got, expect) => panic!("{got:?} instead of {expect:?}"),
        }
    }

    fn le<const N: usize, T: Copy>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|&value| bytes(value)).collect()
    }

    #[test]
    fn rows_are_read_in_any_order_and_type() {
        let pair = form(&[("x", "FP32", &[-1, 2], &[])]);
        let expect: Result<&[&str], &str> = Ok(&["row [0]: | 1.0 2.0", "row [1]: | 3.0 NaN"]);
        let rows = [1.0, 2.0, 3.0, f64::NAN];
        let single = le(&rows, |v| (v as f32).to_le_bytes());
        check(&npy(1, "<f4", false, "(2, 2)", &single), &pair, expect);
        let double = le(&rows, f64::to_le_bytes);
        check(&npy(2, "<f8", false, "(2, 2)", &double), &pair, expect);
        let big = le(&rows, f64::to_be_bytes);
        check(&npy(3, ">f8", false, "(2, 2)", &big), &pair, expect);
        let columns = le(&[1.0, 3.0, 2.0, f64::NAN], f64::to_be_bytes);
        check(&npy(1, ">f8", true, "(2, 2)", &columns), &pair, expect);
        let integers = le(&[1, -2], i16::to_le_bytes);
        let expect: Result<&[&str], &str> = Ok(&["row [0]: | 1.0 -2.0"]);
        check(&npy(1, "<i2", false, "(1, 2)", &integers), &pair, expect);
        let one = form(&[("x", "FP32", &[-1, 1], &[])]);
        let expect: Result<&[&str], &str> = Ok(&["row [0]: | 1.0", "row [1]: | -2.0"]);
        check(&npy(1, "<i2", false, "(2,)", &integers), &one, expect);
    }

    #[test]
    fn fortran_order_is_undone_on_every_axis() {
        let cube = form(&[("x", "FP32", &[-1, 2, 3], &[])]);
        // a[i, j, k] = 100 i + 10 j + k, the first axis contiguous.
        let mut values = Vec::new();
        for k in 0..3u8 {
            for j in 0..2u8 {
                for i in 0..2u8 {
                    values.push(100 * i + 10 * j + k);
                }
            }
        }
        let expect: Result<&[&str], &str> = Ok(&[
            "row [0]: | 0.0 1.0 2.0 10.0 11.0 12.0",
            "row [1]: | 100.0 101.0 102.0 110.0 111.0 112.0",
        ]);
        check(&npy(1, "|u1", true, "(2, 2, 3)", &values), &cube, expect);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let pair = form(&[("x", "FP32", &[-1, 2], &[])]);
        let data = [0; 64];
        let refused = |bytes: &[u8], part: &str| check(bytes, &pair, Err(part));
        refused(b"a,b\n1,2\n", "no NPY file");
        refused(b"", "cut off");
        refused(&npy(9, "<f4", false, "(2, 2)", &data), "version 9");
        refused(&npy(1, "|O", false, "(2, 2)", &data), "\"|O\" is no number");
        refused(&npy(1, "<U8", false, "(2, 2)", &data), "\"<U8\"");
        refused(&npy(1, "<c8", false, "(2, 2)", &data), "\"<c8\"");
        refused(
            &npy(1, "|b1", false, "(2, 2)", &data),
            "holds BOOL, the model takes FP32",
        );
        refused(
            &npy(1, "<f4", false, "(2, 3)", &data),
            "a row has shape [2]",
        );
        refused(&npy(1, "<f4", false, "()", &data), "no rows");
        refused(&npy(1, "<f4", false, "(2, 0)", &data), "shape [0]");
        let huge = "(9223372036854775807, 9223372036854775807)";
        refused(&npy(1, "<f4", false, huge, &data), "is none");
        refused(
            &npy(1, "<f4", false, "(9223372036854775807, 2)", &data),
            "cut off",
        );
        refused(
            &npy(1, "<f4", false, "(9, 2)", &data),
            "9 rows are announced",
        );
        let int = form(&[("x", "INT64", &[-1, 1], &[])]);
        let refusal = Err("holds FP64, the model takes INT64");
        check(&npy(1, "<f8", false, "(1, 1)", &data), &int, refusal);
        let tiny = form(&[("x", "UINT8", &[-1, 1], &[])]);
        let wide = le(&[7, 256], i32::to_le_bytes);
        let mut file = tempfile::tempfile().expect("a file");
        let bytes = npy(1, "<i4", false, "(2, 1)", &wide);
        file.write_all(&bytes).expect("the disk takes it");
        file.rewind().expect("a file");
        let mut rows = NpyRows::open(file, &tiny, "rows.npy").expect("it fits");
        assert!(matches!(rows.next(), Ok(Some(row)) if row.cells[0].bytes == [7]));
        let bad = "row [1]: element 0: 256 does not fit UINT8";
        assert!(matches!(rows.next(), Err(Fault::Row(row)) if row.to_string() == bad));
        let twice = form(&[("x", "FP32", &[-1, 2], &[]), ("y", "FP32", &[-1, 2], &[])]);
        check(
            &npy(1, "<f4", false, "(2, 2)", &data),
            &twice,
            Err("use JSONL"),
        );
    }
}
