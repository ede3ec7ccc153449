//! DEFLATE (RFC 1951), decoding only: what `numpy.savez_compressed` writes.
//!
//! Never gives more bytes than its caller allows. Speed does not matter here.

const BITS_MAX: usize = 15;
/// Order in which lengths of the code-length code are sent (RFC 1951, 3.2.7).
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];
const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
const LENGTH_EXTRA: [u8; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
const DISTANCE_BASE: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
];

/// Not a DEFLATE stream, cut off, or longer than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotDeflate;

/// The bytes behind a stream, at most `bytes_max` of them.
pub(crate) fn inflate(stream: &[u8], bytes_max: usize) -> Result<Vec<u8>, NotDeflate> {
    let mut state = Inflate {
        input: Bits {
            bytes: stream,
            at: 0,
        },
        out: Vec::new(),
        bytes_max,
    };
    loop {
        let last = state.input.take(1)? == 1;
        match state.input.take(2)? {
            0 => state.stored()?,
            1 => state.block(&fixed_literals()?, &Code::new(&[5; 30])?)?,
            2 => state.dynamic()?,
            _ => return Err(NotDeflate),
        }
        if last {
            return Ok(state.out);
        }
    }
}

struct Inflate<'a> {
    input: Bits<'a>,
    out: Vec<u8>,
    bytes_max: usize,
}

impl Inflate<'_> {
    fn stored(&mut self) -> Result<(), NotDeflate> {
        self.input.at = self.input.at.next_multiple_of(8);
        let (len, check) = (self.input.take(16)?, self.input.take(16)?);
        if len != !check & 0xffff {
            return Err(NotDeflate);
        }
        for _ in 0..len {
            let byte = self.input.take(8)?;
            self.push(byte as u8)?;
        }
        Ok(())
    }

    fn dynamic(&mut self) -> Result<(), NotDeflate> {
        let literals = self.input.take(5)? as usize + 257;
        let distances = self.input.take(5)? as usize + 1;
        let count = self.input.take(4)? as usize + 4;
        let mut lengths = [0; 19];
        for place in &ORDER[..count] {
            lengths[*place] = self.input.take(3)? as u8;
        }
        let lengths = self.lengths(&Code::new(&lengths)?, literals + distances)?;
        let (literals, distances) = lengths.split_at(literals);
        self.block(&Code::new(literals)?, &Code::new(distances)?)
    }

    /// Lengths of both codes, run-length coded (3.2.7).
    fn lengths(&mut self, code: &Code, count: usize) -> Result<Vec<u8>, NotDeflate> {
        let mut lengths: Vec<u8> = Vec::new();
        while lengths.len() < count {
            let (length, times) = match code.next(&mut self.input)? {
                16 => (*lengths.last().ok_or(NotDeflate)?, 3 + self.input.take(2)?),
                17 => (0, 3 + self.input.take(3)?),
                18 => (0, 11 + self.input.take(7)?),
                length => (length as u8, 1),
            };
            lengths.extend((0..times).map(|_| length));
        }
        if lengths.len() == count {
            Ok(lengths)
        } else {
            Err(NotDeflate)
        }
    }

    fn block(&mut self, literals: &Code, distances: &Code) -> Result<(), NotDeflate> {
        loop {
            match literals.next(&mut self.input)? {
                256 => return Ok(()),
                byte @ 0..256 => self.push(byte as u8)?,
                symbol => self.copy(usize::from(symbol) - 257, distances)?,
            }
        }
    }

    fn copy(&mut self, length: usize, distances: &Code) -> Result<(), NotDeflate> {
        let base = *LENGTH_BASE.get(length).ok_or(NotDeflate)?;
        let length = u32::from(base) + self.input.take(LENGTH_EXTRA[length])?;
        let code = usize::from(distances.next(&mut self.input)?);
        let base = *DISTANCE_BASE.get(code).ok_or(NotDeflate)?;
        let extra = (code / 2).saturating_sub(1) as u8;
        let distance = usize::from(base) + self.input.take(extra)? as usize;
        for _ in 0..length {
            let from = self.out.len().checked_sub(distance).ok_or(NotDeflate)?;
            self.push(self.out[from])?;
        }
        Ok(())
    }

    fn push(&mut self, byte: u8) -> Result<(), NotDeflate> {
        if self.out.len() >= self.bytes_max {
            return Err(NotDeflate);
        }
        self.out.push(byte);
        Ok(())
    }
}

/// The input, least significant bit of each byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u8) -> Result<u32, NotDeflate> {
        (0..count).try_fold(0, |value, place| {
            let byte = *self.bytes.get(self.at / 8).ok_or(NotDeflate)?;
            let bit = u32::from(byte >> (self.at % 8) & 1);
            self.at += 1;
            Ok(value | bit << place)
        })
    }
}

/// A canonical Huffman code (3.2.2).
struct Code {
    /// Symbols of each length.
    counts: [u16; BITS_MAX + 1],
    /// Symbols by length, then by value.
    symbols: Vec<u16>,
}

impl Code {
    fn new(lengths: &[u8]) -> Result<Self, NotDeflate> {
        let mut counts = [0; BITS_MAX + 1];
        for length in lengths {
            *counts.get_mut(usize::from(*length)).ok_or(NotDeflate)? += 1;
        }
        counts[0] = 0;
        let mut symbols: Vec<u16> = (0..lengths.len() as u16).collect();
        symbols.retain(|symbol| lengths[usize::from(*symbol)] > 0);
        symbols.sort_by_key(|symbol| lengths[usize::from(*symbol)]);
        let room = (1..=BITS_MAX).try_fold(1i32, |room, bits| {
            Some(room * 2 - i32::from(counts[bits])).filter(|room| *room >= 0)
        });
        room.map(|_| Self { counts, symbols }).ok_or(NotDeflate)
    }

    fn next(&self, input: &mut Bits<'_>) -> Result<u16, NotDeflate> {
        let (mut code, mut first, mut index) = (0u32, 0u32, 0u32);
        for bits in 1..=BITS_MAX {
            code |= input.take(1)?;
            let count = u32::from(self.counts[bits]);
            if code < first + count {
                return Ok(self.symbols[(index + code - first) as usize]);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(NotDeflate)
    }
}

/// The fixed code of literals and lengths (3.2.6).
fn fixed_literals() -> Result<Code, NotDeflate> {
    let length = |symbol| match symbol {
        0..144 => 8,
        144..256 => 9,
        256..280 => 7,
        _ => 8,
    };
    Code::new(&(0..288).map(length).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stream: &[u8], expect: Option<&[u8]>) {
        assert_eq!(
            inflate(stream, 1024).ok().as_deref(),
            expect,
            "{stream:02x?}"
        );
    }

    #[test]
    fn each_kind_of_block_is_read() {
        check(&[0x01, 0x02, 0x00, 0xfd, 0xff, b'h', b'i'], Some(b"hi"));
        check(&[0xcb, 0xc8, 0x04, 0x00], Some(b"hi"));
        check(&[0x4b, 0x4c, 0x84, 0x01, 0x00], Some(b"aaaaaaaaaa"));
        check(&dynamic_stream(), Some(&dynamic_text()));
    }

    /// [`dynamic_text`] as zlib packs it at level 9.
    fn dynamic_stream() -> Vec<u8> {
        let hex = "ddcf810dc0200800b05b99a210053128bcbf3396ec8126056a1ef680ba26acb32bde\
                   0ab2c8b474608e1244893005279fb48ca1bcad8f66d685fd8a6fecf03d023f79bc";
        let mut stream = vec![0; hex.len() / 2];
        muster_protocol::digest::decode_hex(hex, &mut stream).expect("hex");
        stream
    }

    fn dynamic_text() -> Vec<u8> {
        let once = (0..200u32).map(|i| ((i * i * 7 + i / 3) % 23 + 97) as u8);
        once.collect::<Vec<u8>>().repeat(2)
    }

    #[test]
    fn every_cut_is_refused() {
        let stream = dynamic_stream();
        for end in 0..stream.len() {
            check(&stream[..end], None);
        }
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        check(&[], None);
        check(&[0x07], None);
        check(&[0x01, 0x02, 0x00, 0xfd, 0xfe, b'h', b'i'], None);
        check(&[0x01, 0x02, 0x00, 0xfd, 0xff, b'h'], None);
        check(&[0xcb, 0xc8], None);
    }

    #[test]
    fn no_more_bytes_come_than_allowed() {
        assert_eq!(inflate(&[0xcb, 0xc8, 0x04, 0x00], 1), Err(NotDeflate));
    }
}
