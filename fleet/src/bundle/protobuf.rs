//! The tensors of ONNX test data: a TensorProto in protobuf's wire format.
//!
//! Only the fields that hold numbers. Never data in another file, text or complex numbers.

use super::tensor::{Datatype, RANK_MAX, Tensor, bytes_of};

/// One field: its number and what it holds.
enum Field<'a> {
    Number(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
}

/// The parts of a TensorProto that count (onnx.proto, message TensorProto).
#[derive(Default)]
struct Parts<'a> {
    dims: Vec<u64>,
    datatype: u64,
    name: String,
    raw: Option<&'a [u8]>,
    /// Elements of float_data, int32_data, int64_data, double_data or uint64_data, each as the
    /// bytes of its field's type.
    elements: Vec<u8>,
    element_size: usize,
    external: bool,
}

/// Reads a TensorProto; what is wrong otherwise.
pub(super) fn tensor(bytes: &[u8]) -> Result<Tensor, String> {
    let parts = parts(bytes).ok_or("it is no TensorProto or is cut off")?;
    if parts.external {
        return Err("its data is in another file".into());
    }
    let code = parts.datatype;
    let datatype = Datatype::of_onnx(code)
        .ok_or_else(|| format!("its element type {code} is no number that devices take"))?;
    bytes_of(datatype, &parts.dims).ok_or("it is larger than 128 MiB")?;
    let data = match parts.raw {
        Some(raw) => raw.to_vec(),
        None => narrowed(&parts, datatype),
    };
    Tensor::new(parts.name, datatype, parts.dims, data)
}

/// int32_data also holds smaller types, one to a number: their low bytes are the element.
fn narrowed(parts: &Parts<'_>, datatype: Datatype) -> Vec<u8> {
    if parts.element_size == 0 {
        return Vec::new();
    }
    let size = datatype.size().min(parts.element_size);
    let elements = parts.elements.chunks_exact(parts.element_size);
    elements
        .flat_map(|element| &element[..size])
        .copied()
        .collect()
}

fn parts(mut bytes: &[u8]) -> Option<Parts<'_>> {
    let mut parts = Parts::default();
    while !bytes.is_empty() {
        let (number, field, rest) = field(bytes)?;
        parts.take(number, field)?;
        bytes = rest;
    }
    Some(parts)
}

impl<'a> Parts<'a> {
    fn take(&mut self, number: u64, field: Field<'a>) -> Option<()> {
        match (number, field) {
            (1, field) => self.take_dims(field)?,
            (2, Field::Number(datatype)) => self.datatype = datatype,
            (8, Field::Bytes(name)) => self.name = str::from_utf8(name).ok()?.to_owned(),
            (9, Field::Bytes(raw)) => self.raw = Some(raw),
            (14, Field::Number(location)) => self.external = location == 1,
            (4 | 5 | 7 | 10 | 11, field) => self.take_elements(number, field)?,
            _ => {}
        }
        Some(())
    }

    fn take_dims(&mut self, field: Field<'a>) -> Option<()> {
        match field {
            Field::Number(dim) => self.dims.push(dim),
            Field::Bytes(packed) => self.dims.extend(varints(packed)?),
            Field::Fixed32(_) | Field::Fixed64(_) => return None,
        }
        (self.dims.len() <= RANK_MAX).then_some(())
    }

    fn take_elements(&mut self, number: u64, field: Field<'a>) -> Option<()> {
        self.element_size = if number == 4 || number == 5 { 4 } else { 8 };
        let size = self.element_size;
        let mut push = |value: u64| self.elements.extend(&value.to_le_bytes()[..size]);
        match field {
            Field::Number(value) => push(value),
            Field::Fixed32(value) => self.elements.extend(value),
            Field::Fixed64(value) => self.elements.extend(value),
            // Floats are packed as they are, integers as varints.
            Field::Bytes(packed) if number == 4 || number == 10 => self.elements.extend(packed),
            Field::Bytes(packed) => varints(packed)?.into_iter().for_each(push),
        }
        Some(())
    }
}

fn field(bytes: &[u8]) -> Option<(u64, Field<'_>, &[u8])> {
    let (key, rest) = varint(bytes)?;
    let (field, rest) = match key & 7 {
        0 => varint(rest).map(|(value, rest)| (Field::Number(value), rest))?,
        1 => rest
            .split_first_chunk()
            .map(|(value, rest)| (Field::Fixed64(*value), rest))?,
        2 => {
            let (len, rest) = varint(rest)?;
            let (held, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            (Field::Bytes(held), rest)
        }
        5 => rest
            .split_first_chunk()
            .map(|(value, rest)| (Field::Fixed32(*value), rest))?,
        _ => return None,
    };
    Some((key >> 3, field, rest))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}

/// Packed integers; there are never more than bytes.
fn varints(mut bytes: &[u8]) -> Option<Vec<u64>> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        let (value, rest) = varint(bytes)?;
        values.push(value);
        bytes = rest;
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expect: Result<(&str, &[u64], &[u8]), &str>) {
        let read = tensor(bytes);
        match (&read, expect) {
            (Ok(tensor), Ok((name, shape, data))) => {
                let Tensor {
                    name: n,
                    shape: s,
                    data: d,
                    ..
                } = tensor;
                assert_eq!(
                    (n.as_str(), s.as_slice(), d.as_slice()),
                    (name, shape, data)
                );
            }
            (Err(said), Err(part)) => assert!(said.contains(part), "{bytes:02x?}: {said}"),
            _ => panic!("{bytes:02x?}: {read:?}"),
        }
    }

    #[test]
    fn numbers_are_read_from_each_field_that_holds_them() {
        let raw = [
            0x08, 2, 0x10, 1, 0x42, 1, b'x', 0x4a, 8, 0, 0, 128, 63, 0, 0, 0, 64,
        ];
        check(&raw, Ok(("x", &[2], &raw[9..])));
        let packed_dims = [0x0a, 2, 1, 2, 0x10, 2, 0x4a, 2, 7, 8];
        check(&packed_dims, Ok(("", &[1, 2], &[7, 8])));
        check(
            &[0x08, 1, 0x10, 1, 0x22, 4, 0, 0, 128, 63],
            Ok(("", &[1], &[0, 0, 128, 63])),
        );
        check(
            &[0x08, 1, 0x10, 1, 0x25, 0, 0, 128, 63],
            Ok(("", &[1], &[0, 0, 128, 63])),
        );
        check(&[0x08, 2, 0x10, 9, 0x2a, 2, 1, 0], Ok(("", &[2], &[1, 0])));
        let minus = [
            0x08, 1, 0x10, 7, 0x3a, 10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1,
        ];
        check(&minus, Ok(("", &[1], &[255; 8])));
        check(&[0x10, 2, 0x4a, 1, 9], Ok(("", &[], &[9])));
    }

    #[test]
    fn what_is_no_tensor_says_why() {
        check(&[0xff], Err("no TensorProto"));
        check(&[0x4a, 0xff, 0xff, 0xff, 0xff, 0x0f], Err("no TensorProto"));
        check(&[0x08, 1, 0x10, 8], Err("element type 8"));
        check(&[0x08, 1, 0x10, 1, 0x70, 1], Err("another file"));
        check(
            &[0x08, 2, 0x10, 1, 0x4a, 4, 0, 0, 0, 0],
            Err("needs 8 bytes, it has 4"),
        );
        let huge = [0x08, 255, 255, 255, 255, 255, 255, 255, 255, 127, 0x10, 1];
        check(&huge, Err("128 MiB"));
    }
}
