//! The check that bytes are one item in deterministic form, before anything reads them.
//!
//! Knows no document: only the grammar of RFC 8949. Never recurses deeper than [`DEPTH_MAX`].

use core::fmt;

/// Arrays, maps and tags within each other; our deepest document needs six.
const DEPTH_MAX: u8 = 10;

/// Why bytes are not a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The bytes end inside an item.
    Truncated,
    /// Bytes follow the document.
    Trailing,
    /// A number or length is not in its shortest form.
    NotShortest,
    /// A length is indefinite.
    Indefinite,
    /// The keys of a map are not integers in ascending order.
    KeyOrder,
    /// A float, an undefined value or another simple value than false, true and null.
    NotAllowed,
    /// Items lie too deep within each other.
    TooDeep,
    /// A field is missing, of another type, outside its grammar or beyond its bound.
    Field,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the document is cut off",
            Self::Trailing => "bytes follow the document",
            Self::NotShortest => "a number is not in its shortest form",
            Self::Indefinite => "a length is indefinite",
            Self::KeyOrder => "map keys are not ascending integers",
            Self::NotAllowed => "a value is of a type that no document has",
            Self::TooDeep => "items lie too deep within each other",
            Self::Field => "a field is missing, ill-typed or out of bounds",
        })
    }
}

impl core::error::Error for Malformed {}

pub(crate) fn check(bytes: &[u8]) -> Result<(), Malformed> {
    let rest = item(bytes, DEPTH_MAX)?;
    if rest.is_empty() {
        Ok(())
    } else {
        Err(Malformed::Trailing)
    }
}

/// What follows an item.
pub(crate) fn after(bytes: &[u8]) -> Result<&[u8], Malformed> {
    item(bytes, DEPTH_MAX)
}

/// Checks one item and gives what follows it. Most items hold no others: for those it is no call.
#[inline(always)]
fn item(bytes: &[u8], depth: u8) -> Result<&[u8], Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed::TooDeep)?;
    let (major, argument, rest) = head(bytes)?;
    match major {
        0 | 1 => Ok(rest),
        2 | 3 => {
            let len = usize::try_from(argument).map_err(|_| Malformed::Truncated)?;
            rest.get(len..).ok_or(Malformed::Truncated)
        }
        7 if (20..=22).contains(&argument) => Ok(rest),
        7 => Err(Malformed::NotAllowed),
        _ => items(major, argument, rest, depth),
    }
}

/// Checks what an array, map or tag holds.
fn items(major: u8, count: u64, rest: &[u8], depth: u8) -> Result<&[u8], Malformed> {
    match major {
        4 => (0..count).try_fold(rest, |rest, _| item(rest, depth)),
        5 => map(rest, count, depth),
        _ => item(rest, depth),
    }
}

fn map(mut rest: &[u8], pairs: u64, depth: u8) -> Result<&[u8], Malformed> {
    let mut last = None;
    for _ in 0..pairs {
        let (major, argument, after) = head(rest)?;
        // Ascending bytes of the encoded key: unsigned integers first, then negative ones.
        let key = (major, argument);
        if major > 1 || last.is_some_and(|last| last >= key) {
            return Err(Malformed::KeyOrder);
        }
        last = Some(key);
        rest = item(after, depth)?;
    }
    Ok(rest)
}

/// Splits the head of an item: major type, argument, what follows.
pub(crate) fn head(bytes: &[u8]) -> Result<(u8, u64, &[u8]), Malformed> {
    let (&first, rest) = bytes.split_first().ok_or(Malformed::Truncated)?;
    let (major, info) = (first >> 5, first & 0x1f);
    match info {
        0..=23 => Ok((major, u64::from(info), rest)),
        // A simple value in two bytes, or a float.
        24..=27 if major == 7 => Err(Malformed::NotAllowed),
        24..=27 => {
            let len = 1 << (info - 24);
            let argument = rest.get(..len).ok_or(Malformed::Truncated)?;
            let value = argument
                .iter()
                .fold(0, |value, byte| value << 8 | u64::from(*byte));
            let least = [24, 1 << 8, 1 << 16, 1 << 32][usize::from(info - 24)];
            if value < least {
                return Err(Malformed::NotShortest);
            }
            Ok((major, value, &rest[len..]))
        }
        31 => Err(Malformed::Indefinite),
        _ => Err(Malformed::NotAllowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expect: Result<(), Malformed>) {
        assert_eq!(super::check(bytes), expect, "{bytes:02x?}");
    }

    #[test]
    fn one_meaning_has_one_writing() {
        check(&[0x17], Ok(()));
        check(&[0x18, 0x17], Err(Malformed::NotShortest));
        check(&[0x18, 0x18], Ok(()));
        check(&[0x19, 0x00, 0xff], Err(Malformed::NotShortest));
        check(&[0x58, 0x01, 0x00], Err(Malformed::NotShortest));
        check(&[0x5f, 0x41, 0x00, 0xff], Err(Malformed::Indefinite));
        check(&[0x9f, 0xff], Err(Malformed::Indefinite));
        check(&[0xa2, 0x00, 0x01, 0x01, 0x01], Ok(()));
        check(&[0xa2, 0x01, 0x01, 0x00, 0x01], Err(Malformed::KeyOrder));
        check(&[0xa2, 0x01, 0x01, 0x01, 0x01], Err(Malformed::KeyOrder));
        check(&[0xa1, 0x61, 0x61, 0x01], Err(Malformed::KeyOrder));
    }

    #[test]
    fn what_no_document_has_is_refused() {
        check(&[], Err(Malformed::Truncated));
        check(&[0x42, 0x00], Err(Malformed::Truncated));
        check(
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            Err(Malformed::Truncated),
        );
        check(
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            Err(Malformed::Truncated),
        );
        check(&[0x00, 0x00], Err(Malformed::Trailing));
        check(&[0xf9, 0x3c, 0x00], Err(Malformed::NotAllowed));
        check(&[0xf7], Err(Malformed::NotAllowed));
        check(&[0xf6], Ok(()));
        check(&[0x81; 64], Err(Malformed::TooDeep));
    }
}
