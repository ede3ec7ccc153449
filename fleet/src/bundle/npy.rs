//! One array of numpy (NEP 1, format versions 1 to 3): header and little-endian elements.
//!
//! Never Python objects, text, Fortran order or big-endian numbers: those are refused by name.

use super::tensor::{Datatype, RANK_MAX, Tensor};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header, bytes; numpy pads its own to 64 or 128.
const HEADER_BYTES_MAX: usize = 4096;

/// Reads an array; what is wrong otherwise.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Tensor, String> {
    let (header, data) = split(bytes).ok_or("it is no .npy array or is cut off")?;
    let descr = value(header, "descr")
        .and_then(quoted)
        .ok_or("its header has no plain descr")?;
    let datatype = datatype(descr)?;
    if value(header, "fortran_order").is_none_or(|rest| !rest.starts_with("False")) {
        return Err("it is in Fortran order, save it with np.ascontiguousarray".into());
    }
    let shape = value(header, "shape")
        .and_then(shape)
        .ok_or("its header has no shape")?;
    Tensor::new(name, datatype, shape, data.to_vec())
}

fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (version, rest) = rest.split_at_checked(2)?;
    let (len, rest) = match version[0] {
        1 => {
            let (len, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_le_bytes(*len)), rest)
        }
        2 | 3 => {
            let (len, rest) = rest.split_first_chunk()?;
            (usize::try_from(u32::from_le_bytes(*len)).ok()?, rest)
        }
        _ => return None,
    };
    let (header, data) = rest
        .split_at_checked(len)
        .filter(|_| len <= HEADER_BYTES_MAX)?;
    Some((std::str::from_utf8(header).ok()?, data))
}

/// What follows `'key':` in the dictionary of the header.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{key}':"))?;
    Some(rest.trim_start())
}

fn quoted(rest: &str) -> Option<&str> {
    rest.strip_prefix('\'')?
        .split_once('\'')
        .map(|(text, _)| text)
}

fn datatype(descr: &str) -> Result<Datatype, String> {
    let kind = descr.strip_prefix('<').or_else(|| descr.strip_prefix('|'));
    kind.and_then(Datatype::of_numpy)
        .ok_or_else(|| format!("its type {descr:?} is not a little-endian number"))
}

fn shape(rest: &str) -> Option<Vec<u64>> {
    let (inner, _) = rest.strip_prefix('(')?.split_once(')')?;
    let dims = inner
        .split(',')
        .map(str::trim)
        .filter(|dim| !dim.is_empty());
    let shape = dims
        .take(RANK_MAX + 1)
        .map(str::parse)
        .collect::<Result<Vec<u64>, _>>();
    shape.ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::hostile::mutated;
    use proptest::prelude::*;

    pub(crate) fn array(header: &str, data: &[u8]) -> Vec<u8> {
        let len = (header.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &len, header.as_bytes(), data].concat()
    }

    fn check(header: &str, data: usize, expect: Result<&[u64], &str>) {
        let read = read("x", &array(header, &vec![0; data]));
        match (&read, expect) {
            (Ok(tensor), Ok(shape)) => assert_eq!(tensor.shape, shape),
            (Err(said), Err(part)) => assert!(said.contains(part), "{header}: {said}"),
            _ => panic!("{header}: {read:?}"),
        }
    }

    #[test]
    fn an_array_is_read_or_says_why_not() {
        let f4 = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
        check(f4, 24, Ok(&[2, 3]));
        check(f4, 23, Err("needs 24 bytes, it has 23"));
        check(
            "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }",
            16,
            Ok(&[2]),
        );
        check(
            "{'descr': '|b1', 'fortran_order': False, 'shape': (), }",
            1,
            Ok(&[]),
        );
        check(
            "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }",
            4,
            Err(">f4"),
        );
        check(
            "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
            8,
            Err("|O"),
        );
        check(
            "{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }",
            4,
            Err("Fortran"),
        );
        check(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
            4,
            Err("no shape"),
        );
        check(
            "{'descr': [('a', '<f4')], 'shape': (1,), }",
            4,
            Err("descr"),
        );
        let huge = "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 9), }";
        check(huge, 0, Err("128 MiB"));
    }

    #[test]
    fn every_cut_is_refused() {
        let bytes = array(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
            &[0; 4],
        );
        for end in 0..bytes.len() {
            assert!(read("x", &bytes[..end]).is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn a_hostile_array_is_refused_or_holds_what_its_shape_says(
            bytes in mutated(array(
                "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n",
                &[7; 24],
            )),
        ) {
            if let Ok(tensor) = read("x", &bytes) {
                prop_assert!(tensor.data.len() <= bytes.len());
            }
        }
    }
}
