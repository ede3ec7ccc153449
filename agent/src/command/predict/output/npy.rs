//! Predictions of one output as an array of numpy: shape `[rows, …]`, little endian, C order.
//!
//! How many rows there are is known at the end: the header has a fixed length and is written then.

use crate::command::predict::answer::Given;
use crate::tensor::Datatype;

/// Bytes of the header: a shape of the highest rank has room.
const HEADER_BYTES: usize = 512;

/// The array so far.
#[derive(Debug, Default)]
pub(super) struct Array {
    rows: u64,
    /// Datatype and shape of a row, once there is one.
    form: Option<(Datatype, Vec<usize>)>,
}

impl Array {
    /// One row, after room for the header if it is the first.
    pub(super) fn add(&mut self, given: &[Given<'_>], to: &mut Vec<u8>) -> Result<(), String> {
        let [only] = given else {
            let names: Vec<_> = given.iter().map(|given| given.name).collect();
            return Err(format!(
                "an array holds one of the outputs {}",
                names.join(", ")
            ));
        };
        let form = (only.datatype, only.shape.to_vec());
        match &self.form {
            None => {
                to.resize(to.len() + HEADER_BYTES, b' ');
                self.form = Some(form);
            }
            Some(first) if *first == form => {}
            Some((_, first)) => {
                return Err(format!(
                    "a row has shape {:?}, the first one {first:?}",
                    form.1
                ));
            }
        }
        to.extend_from_slice(only.bytes);
        self.rows += 1;
        Ok(())
    }

    /// The header of what was added.
    pub(super) fn header(&self) -> Vec<u8> {
        let (datatype, row) = self.form.clone().unwrap_or((Datatype::F32, Vec::new()));
        let dims: String = row.iter().map(|dim| format!("{dim}, ")).collect();
        let dict = format!(
            "{{'descr': '{}', 'fortran_order': False, 'shape': ({}, {dims}), }}",
            descr(datatype),
            self.rows
        );
        let mut header = b"\x93NUMPY\x01\x00".to_vec();
        header.extend(((HEADER_BYTES - 10) as u16).to_le_bytes());
        header.extend_from_slice(dict.as_bytes());
        header.resize(HEADER_BYTES - 1, b' ');
        header.push(b'\n');
        header
    }
}

fn descr(datatype: Datatype) -> &'static str {
    match datatype {
        Datatype::Bool => "|b1",
        Datatype::U8 => "|u1",
        Datatype::I8 => "|i1",
        Datatype::U16 => "<u2",
        Datatype::I16 => "<i2",
        Datatype::U32 => "<u4",
        Datatype::I32 => "<i4",
        Datatype::U64 => "<u8",
        Datatype::I64 => "<i8",
        Datatype::F16 => "<f2",
        Datatype::F32 => "<f4",
        Datatype::F64 => "<f8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given<'a>(shape: &'a [usize], bytes: &'a [u8]) -> Given<'a> {
        Given {
            name: "y",
            datatype: Datatype::U8,
            shape,
            bytes,
        }
    }

    #[test]
    fn rows_become_one_array() {
        let (mut array, mut to) = (Array::default(), Vec::new());
        array
            .add(&[given(&[2], &[1, 2])], &mut to)
            .expect("it fits");
        array
            .add(&[given(&[2], &[3, 4])], &mut to)
            .expect("it fits");
        assert_eq!(&to[HEADER_BYTES..], [1, 2, 3, 4]);
        let header = array.header();
        assert_eq!(header.len(), HEADER_BYTES);
        let text = String::from_utf8_lossy(&header[10..]).into_owned();
        let expect = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, ), }";
        assert_eq!(text.trim_end(), expect);
        let refused = array.add(&[given(&[1], &[1])], &mut to);
        assert_eq!(
            refused,
            Err("a row has shape [1], the first one [2]".into())
        );
        let two = [given(&[], &[1]), given(&[], &[1])];
        assert!(Array::default().add(&two, &mut to).is_err());
    }

    #[test]
    fn the_header_has_room_for_the_longest_shape() {
        let array = Array {
            rows: u64::MAX,
            form: Some((Datatype::F64, vec![128 << 20; crate::tensor::RANK_MAX])),
        };
        assert_eq!(array.header().len(), HEADER_BYTES);
    }
}
