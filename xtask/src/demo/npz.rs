//! Arrays of numpy from an npz file: what another runtime has answered.
//! Reads what `savez` and `savez_compressed` write, of f32 and f64; never more than 64 MiB of it.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, bail, ensure};
use miniz_oxide::inflate::decompress_to_vec_with_limit;

const ARRAY_BYTES_MAX: usize = 64 * 1024 * 1024;
const END: &[u8] = b"PK\x05\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
/// Bytes of the fixed parts of the three records (APPNOTE 4.3.16, 4.3.12, 4.3.7).
const END_BYTES: usize = 22;
const ENTRY_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;

/// Rows of an array: its first axis; a plain list has rows of one.
pub(super) type Array = Vec<Vec<f64>>;

/// All arrays of a file by name.
///
/// # Errors
/// It cannot be read, or is no npz file of floats.
pub(super) fn read(path: &Path) -> anyhow::Result<BTreeMap<String, Array>> {
    let bytes = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    parse(&bytes).with_context(|| format!("failed to read {}", path.display()))
}

fn parse(bytes: &[u8]) -> anyhow::Result<BTreeMap<String, Array>> {
    let ends = bytes.len().checked_sub(END_BYTES).map(|last| 0..=last);
    let mut ends = ends.context("it is too short for an archive")?.rev();
    let end = ends.find(|&at| bytes[at..].starts_with(END));
    let end = end.context("it is no zip archive, or cut off")?;
    let (count, mut at) = (number(bytes, end + 10, 2)?, number(bytes, end + 16, 4)?);
    let mut arrays = BTreeMap::new();
    for _ in 0..count {
        ensure!(part(bytes, at, 4)? == ENTRY, "its directory is damaged");
        let name_bytes = number(bytes, at + 28, 2)?;
        let name = String::from_utf8_lossy(part(bytes, at + ENTRY_BYTES, name_bytes)?);
        let array = unpack(bytes, at).and_then(|npy| array(&npy));
        let array = array.with_context(|| name.clone().into_owned())?;
        arrays.insert(name.trim_end_matches(".npy").to_owned(), array);
        let behind = number(bytes, at + 30, 2)? + number(bytes, at + 32, 2)?;
        at += ENTRY_BYTES + name_bytes + behind;
    }
    Ok(arrays)
}

fn unpack(bytes: &[u8], entry: usize) -> anyhow::Result<Vec<u8>> {
    let method = number(bytes, entry + 10, 2)?;
    let (packed, local) = (number(bytes, entry + 20, 4)?, number(bytes, entry + 42, 4)?);
    ensure!(part(bytes, local, 4)? == LOCAL, "its entry is damaged");
    let head = LOCAL_BYTES + number(bytes, local + 26, 2)? + number(bytes, local + 28, 2)?;
    let data = part(bytes, local + head, packed)?;
    match method {
        0 => Ok(data.to_vec()),
        8 => decompress_to_vec_with_limit(data, ARRAY_BYTES_MAX)
            .map_err(|error| anyhow::anyhow!("it cannot be unpacked: {error}")),
        other => bail!("its compression method is {other}, known are 0 and 8"),
    }
}

/// Reads one npy file (NEP 1).
fn array(npy: &[u8]) -> anyhow::Result<Array> {
    ensure!(npy.starts_with(b"\x93NUMPY"), "it is no array of numpy");
    let (size, from) = match part(npy, 6, 1)? {
        [1] => (number(npy, 8, 2)?, 10),
        _ => (number(npy, 8, 4)?, 12),
    };
    let head = String::from_utf8_lossy(part(npy, from, size)?).into_owned();
    ensure!(
        head.contains("'fortran_order': False"),
        "its columns come first: {head}"
    );
    let shape = shape(&head).with_context(|| format!("its shape is not clear: {head}"))?;
    let data = &npy[from + size..];
    let values: Vec<f64> = if head.contains("'<f4'") {
        let chunks = data.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
        chunks.map(|b| f64::from(f32::from_le_bytes(b))).collect()
    } else if head.contains("'<f8'") {
        let chunks = data.chunks_exact(8);
        chunks
            .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
            .collect()
    } else {
        bail!("its numbers are not '<f4' or '<f8': {head}");
    };
    let width = shape.iter().skip(1).product::<usize>().max(1);
    let rows: Array = values.chunks(width).map(<[f64]>::to_vec).collect();
    let whole = shape.first() == Some(&rows.len()) && values.len() == rows.len() * width;
    ensure!(
        whole,
        "it has {} numbers, its shape is {shape:?}",
        values.len()
    );
    Ok(rows)
}

fn shape(head: &str) -> Option<Vec<usize>> {
    let (_, behind) = head.split_once("'shape': (")?;
    let (inside, _) = behind.split_once(')')?;
    let sizes = inside
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty());
    sizes.map(|size| size.parse().ok()).collect()
}

fn part(bytes: &[u8], at: usize, length: usize) -> anyhow::Result<&[u8]> {
    let end = at.checked_add(length).context("it is cut off")?;
    bytes.get(at..end).context("it is cut off")
}

/// A number of little-endian bytes.
fn number(bytes: &[u8], at: usize, length: usize) -> anyhow::Result<usize> {
    let bytes = part(bytes, at, length)?.iter().rev();
    Ok(bytes.fold(0, |number, &byte| number << 8 | usize::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &[u8] = include_bytes!("../../story/bearing-1.0.0.golden.npz");

    #[test]
    fn golden_vectors_of_the_story_are_read() -> anyhow::Result<()> {
        let arrays = parse(GOLDEN)?;
        let forms: Vec<_> = arrays
            .iter()
            .map(|(name, rows)| (name.as_str(), rows.len(), rows[0].len()))
            .collect();
        assert_eq!(
            forms,
            [
                ("features", 16, 4),
                ("reconstruction", 16, 4),
                ("score", 16, 1)
            ]
        );
        let [quiet, ill] = [0, 15].map(|row: usize| arrays["score"][row][0]);
        assert!(quiet < 8.0 && ill > 8.0, "{quiet} and {ill}");
        Ok(())
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_refused() {
        for end in 0..GOLDEN.len() {
            assert!(parse(&GOLDEN[..end]).is_err(), "{end}");
        }
        for at in 0..GOLDEN.len() {
            let mut damaged = GOLDEN.to_vec();
            damaged[at] ^= 0x55;
            let _some_damage_does_not_show = parse(&damaged);
        }
    }

    #[test]
    fn shapes_are_read() {
        let check = |shape_text: &str, expect: &[usize]| {
            let head = format!("{{'descr': '<f4', 'shape': ({shape_text}), }}");
            assert_eq!(shape(&head).as_deref(), Some(expect));
        };
        check("984,", &[984]);
        check("984, 4", &[984, 4]);
        check("", &[]);
        assert_eq!(shape("no"), None);
    }
}
