//! A zip archive of numpy arrays, as `numpy.savez` and `savez_compressed` write it.
//!
//! The central directory counts (APPNOTE 4.3.12). Never an encrypted entry, a second disk, or
//! more bytes than a golden document may have.

use miniz_oxide::inflate::decompress_to_vec_with_limit as inflate;

use super::tensor::Tensor;
use muster_protocol::limits::GOLDEN_BYTES_MAX;

const END: &[u8] = b"PK\x05\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
/// Most arrays of one file.
const ENTRIES_MAX: u16 = 256;
/// Bytes of the end record, and of the longest comment behind it.
const END_BYTES: usize = 22;
const COMMENT_BYTES_MAX: usize = 65_535;

/// One file in the archive.
struct Entry<'a> {
    name: &'a str,
    method: u16,
    packed: usize,
    size: usize,
    at: usize,
}

/// All arrays, named without `.npy`; what is wrong otherwise.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Tensor>, String> {
    let (count, mut at) = end_record(bytes).ok_or("it is no zip archive or is cut off")?;
    if count > ENTRIES_MAX {
        return Err(format!("it has more than {ENTRIES_MAX} arrays"));
    }
    let mut arrays = Vec::new();
    let mut room = GOLDEN_BYTES_MAX;
    for _ in 0..count {
        let (entry, next) = entry(bytes, at).ok_or("its directory is damaged")?;
        room = room
            .checked_sub(entry.size)
            .ok_or("it holds more than 128 MiB")?;
        arrays.push(array(bytes, &entry).map_err(|why| format!("{}: {why}", entry.name))?);
        at = next;
    }
    Ok(arrays)
}

/// Number of entries and offset of the directory.
fn end_record(bytes: &[u8]) -> Option<(u16, usize)> {
    let last = bytes.len().checked_sub(END_BYTES)?;
    let first = last.saturating_sub(COMMENT_BYTES_MAX);
    let at = (first..=last)
        .rev()
        .find(|at| bytes[*at..].starts_with(END))?;
    Some((u16_at(bytes, at + 10)?, usize_at(bytes, at + 16)?))
}

fn entry(bytes: &[u8], at: usize) -> Option<(Entry<'_>, usize)> {
    let head = bytes.get(at..).filter(|head| head.starts_with(ENTRY))?;
    let name_len = usize::from(u16_at(head, 28)?);
    let behind = usize::from(u16_at(head, 30)?) + usize::from(u16_at(head, 32)?);
    let name = std::str::from_utf8(head.get(46..46 + name_len)?).ok()?;
    let encrypted = u16_at(head, 8)? & 1 == 1;
    let entry = Entry {
        name: name.strip_suffix(".npy").unwrap_or(name),
        method: if encrypted {
            u16::MAX
        } else {
            u16_at(head, 10)?
        },
        packed: usize_at(head, 20)?,
        size: usize_at(head, 24)?,
        at: usize_at(head, 42)?,
    };
    Some((entry, at + 46 + name_len + behind))
}

fn array(bytes: &[u8], entry: &Entry<'_>) -> Result<Tensor, String> {
    let packed = packed(bytes, entry).ok_or("it is cut off")?;
    let array = match entry.method {
        0 => packed.to_vec(),
        8 => inflate(packed, entry.size).map_err(|_| "its packed bytes are damaged")?,
        method => return Err(format!("it is packed by method {method} or encrypted")),
    };
    if array.len() != entry.size {
        return Err("its size is not the one in the directory".into());
    }
    super::npy::read(entry.name, &array)
}

fn packed<'a>(bytes: &'a [u8], entry: &Entry<'_>) -> Option<&'a [u8]> {
    let local = bytes
        .get(entry.at..)
        .filter(|local| local.starts_with(LOCAL))?;
    let start = 30 + usize::from(u16_at(local, 26)?) + usize::from(u16_at(local, 28)?);
    local.get(start..start.checked_add(entry.packed)?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|pair| u16::from_le_bytes(*pair))
}

fn usize_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes
        .get(at..)?
        .first_chunk()
        .map(|four| u32::from_le_bytes(*four))?;
    usize::try_from(four).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::npy::tests::array;
    use super::*;
    use crate::hostile::mutated;
    use proptest::prelude::*;

    /// An archive of one entry with this method and these packed bytes.
    fn archive(name: &str, method: u8, packed: &[u8], size: usize) -> Vec<u8> {
        let (len, sent) = (size as u32, packed.len() as u32);
        let sizes = [sent.to_le_bytes(), len.to_le_bytes()].concat();
        let name_len = [name.len() as u8, 0];
        let method = [method, 0];
        let local = [
            LOCAL,
            &[20, 0, 0, 0],
            &method,
            &[0; 8],
            &sizes,
            &name_len,
            &[0, 0],
            name.as_bytes(),
        ];
        let mut bytes = [local.concat(), packed.to_vec()].concat();
        let at = (bytes.len() as u32).to_le_bytes();
        let entry = [
            ENTRY,
            &[20, 0, 20, 0, 0, 0],
            &method,
            &[0; 8],
            &sizes,
            &name_len,
            &[0; 16],
        ];
        bytes.extend([entry.concat(), name.as_bytes().to_vec()].concat());
        bytes.extend([END, &[0; 4], &[1, 0, 1, 0], &[0; 4], &at, &[0, 0]].concat());
        bytes
    }

    pub(crate) fn stored(name: &str, header: &str, data: &[u8]) -> Vec<u8> {
        let array = array(header, data);
        archive(&format!("{name}.npy"), 0, &array, array.len())
    }

    fn sample() -> Vec<u8> {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
        stored("score", header, &[0; 8])
    }

    fn check(bytes: &[u8], expect: &str) {
        let said = read(bytes).expect_err(expect);
        assert!(said.contains(expect), "{said}");
    }

    #[test]
    fn an_archive_is_read_or_says_why_not() {
        let arrays = read(&sample()).expect("an archive");
        assert_eq!(
            (arrays[0].name.as_str(), arrays[0].shape.as_slice()),
            ("score", &[2][..])
        );
        check(b"not a zip", "no zip archive");
        check(&archive("a.npy", 12, &[], 0), "method 12");
        check(
            &archive("a.npy", 8, &[0xcb, 0xc8, 0x04, 0x00], 1),
            "damaged",
        );
        check(
            &archive("a.npy", 8, &[0xcb, 0xc8, 0x04, 0x00], 3),
            "its size",
        );
        check(
            &archive("a.npy", 8, &[0xcb, 0xc8, 0x04, 0x00], 2),
            "no .npy array",
        );
        check(&archive("a.npy", 0, &[], 1 << 28), "128 MiB");
    }

    #[test]
    fn every_cut_is_refused() {
        let bytes = sample();
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "{end}");
        }
    }

    /// Two floats, the second time packed by `numpy.savez_compressed`'s method.
    fn packed() -> Vec<u8> {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
        let array = array(header, &[0; 8]);
        let packed = miniz_oxide::deflate::compress_to_vec(&array, 6);
        archive("score.npy", 8, &packed, array.len())
    }

    proptest! {
        #[test]
        fn a_hostile_archive_is_refused_or_holds_no_more_than_it_may(
            bytes in prop_oneof![mutated(sample()), mutated(packed())],
        ) {
            if let Ok(arrays) = read(&bytes) {
                let held: usize = arrays.iter().map(|array| array.data.len()).sum();
                prop_assert!(held <= GOLDEN_BYTES_MAX);
                prop_assert!(arrays.len() <= usize::from(ENTRIES_MAX));
            }
        }
    }

    #[test]
    fn a_packed_archive_is_read() {
        assert_eq!(read(&packed()), read(&sample()));
    }
}
