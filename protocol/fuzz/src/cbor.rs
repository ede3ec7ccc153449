//! The form of documents: a second reader, which takes any CBOR and writes it in the one
//! deterministic form, must find the same bytes acceptable.
//!
//! Knows no document.

use minicbor::{Decode, Decoder, decode};
use muster_protocol::cbor::{self, List};

/// How deep items may lie within each other.
const DEPTH_MAX: usize = 10;

/// Takes all bytes as one item, and as lists.
pub fn cbor(data: &[u8]) {
    let accepted = cbor::decode::<Anything>(data).is_ok();
    let expected = Item::read(data).is_some_and(|item| item.written() == data);
    assert_eq!(accepted, expected, "{:?}", Item::read(data));
    list::<u64>(data);
    list::<i32>(data);
    list::<bool>(data);
    list::<(u8, Option<u32>)>(data);
}

/// A list that was read has as many items as it says, and is written as it was.
fn list<T>(data: &[u8])
where
    T: Clone + PartialEq + std::fmt::Debug + minicbor::Encode<()> + for<'b> Decode<'b, ()>,
{
    let Ok(list) = cbor::decode::<List<'_, T, 16>>(data) else {
        return;
    };
    let items: Vec<T> = list.iter().collect();
    assert_eq!(items.len(), list.len());
    let given = List::<T, 16>::of(&items);
    assert_eq!(cbor::to_vec(&given), data);
    assert_eq!(cbor::to_vec(&list), data);
}

/// Any item whose form was checked.
struct Anything;

impl<'b> Decode<'b, ()> for Anything {
    fn decode(d: &mut Decoder<'b>, (): &mut ()) -> Result<Self, decode::Error> {
        // The check of the form has seen every byte; which types they are does not matter here.
        d.set_position(d.input().len());
        Ok(Self)
    }
}

/// What the second reader makes of one item.
#[derive(Debug)]
enum Item<'b> {
    Number(u8, u64),
    String(u8, &'b [u8]),
    Array(Vec<Item<'b>>),
    Map(Vec<(u8, u64, Item<'b>)>),
    Tag(u64, Box<Item<'b>>),
    Simple(u8),
}

impl<'b> Item<'b> {
    /// The one item that `bytes` are; `None` when they are none that a document may have.
    fn read(bytes: &'b [u8]) -> Option<Self> {
        let (item, rest) = Self::first(bytes, DEPTH_MAX)?;
        (rest.is_empty() && item.is_sorted()).then_some(item)
    }

    fn first(bytes: &'b [u8], depth: usize) -> Option<(Self, &'b [u8])> {
        let (major, info, argument, rest) = argument(bytes)?;
        let depth = depth.checked_sub(1)?;
        match major {
            0 | 1 => Some((Self::Number(major, argument), rest)),
            2 | 3 => {
                let (content, rest) = rest.split_at_checked(usize::try_from(argument).ok()?)?;
                Some((Self::String(major, content), rest))
            }
            4 => Self::array(rest, argument, depth),
            5 => Self::map(rest, argument, depth),
            6 => {
                let (inner, rest) = Self::first(rest, depth)?;
                Some((Self::Tag(argument, Box::new(inner)), rest))
            }
            _ => (20..=22)
                .contains(&info)
                .then_some((Self::Simple(info), rest)),
        }
    }

    fn array(mut rest: &'b [u8], len: u64, depth: usize) -> Option<(Self, &'b [u8])> {
        let mut items = Vec::new();
        for _ in 0..len {
            let (item, after) = Self::first(rest, depth)?;
            items.push(item);
            rest = after;
        }
        Some((Self::Array(items), rest))
    }

    fn map(mut rest: &'b [u8], len: u64, depth: usize) -> Option<(Self, &'b [u8])> {
        let mut pairs = Vec::new();
        for _ in 0..len {
            let (major, _, key, after) = argument(rest)?;
            let (value, after) = Self::first(after, depth)?;
            pairs.push((major, key, value));
            rest = after;
        }
        Some((Self::Map(pairs), rest))
    }

    /// Whether the keys of every map are integers in strictly ascending order of their bytes.
    fn is_sorted(&self) -> bool {
        match self {
            Self::Number(..) | Self::String(..) | Self::Simple(_) => true,
            Self::Array(items) => items.iter().all(Self::is_sorted),
            Self::Tag(_, inner) => inner.is_sorted(),
            Self::Map(pairs) => {
                let key = |(major, key, _): &(u8, u64, Self)| head(*major, *key);
                pairs
                    .iter()
                    .all(|(major, _, value)| *major < 2 && value.is_sorted())
                    && pairs.windows(2).all(|pair| {
                        let (one, next) = (key(&pair[0]), key(&pair[1]));
                        one < next
                    })
            }
        }
    }

    /// The item in shortest form.
    fn written(&self) -> Vec<u8> {
        match self {
            Self::Number(major, number) => head(*major, *number),
            Self::String(major, content) => {
                [&head(*major, content.len() as u64)[..], content].concat()
            }
            Self::Array(items) => {
                let items = items.iter().map(Self::written);
                let head = head(4, items.len() as u64);
                [head].into_iter().chain(items).flatten().collect()
            }
            Self::Map(pairs) => {
                let written = pairs
                    .iter()
                    .flat_map(|(major, key, value)| [head(*major, *key), value.written()]);
                let head = head(5, pairs.len() as u64);
                [head].into_iter().chain(written).flatten().collect()
            }
            Self::Tag(tag, inner) => [head(6, *tag), inner.written()].concat(),
            Self::Simple(value) => vec![0xe0 | value],
        }
    }
}

/// Major type, additional information, argument in whichever length, and what follows.
fn argument(bytes: &[u8]) -> Option<(u8, u8, u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (major, info) = (first >> 5, first & 0x1f);
    if info < 24 {
        return Some((major, info, u64::from(info), rest));
    }
    let (argument, rest) = rest.split_at_checked(*[1, 2, 4, 8].get(usize::from(info - 24))?)?;
    let argument = argument
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    Some((major, info, argument, rest))
}

/// A head in its shortest form.
fn head(major: u8, argument: u64) -> Vec<u8> {
    let bytes = argument.to_be_bytes();
    let (info, len) = match argument {
        0..=23 => (argument as u8, 0),
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 8),
    };
    [&[major << 5 | info][..], &bytes[8 - len..]].concat()
}
