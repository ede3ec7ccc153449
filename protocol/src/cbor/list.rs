//! A list without a heap: either given as a slice, or received and read lazily.
//!
//! A received list was checked once, item by item, when it was decoded; it never holds more
//! than `MAX` items.

use core::fmt;
use core::marker::PhantomData;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// At most `MAX` items of `T`.
#[derive(Clone, Copy)]
pub struct List<'b, T, const MAX: usize>(Items<'b, T>);

#[derive(Clone, Copy)]
enum Items<'b, T> {
    Given(&'b [T]),
    Received {
        bytes: &'b [u8],
        len: usize,
        item: PhantomData<T>,
    },
}

impl<'b, T: Clone + Decode<'b, ()>, const MAX: usize> List<'b, T, MAX> {
    /// The list of these items.
    ///
    /// # Panics
    /// Never: items beyond `MAX` are cut off, which a caller prevents by its own bound.
    #[must_use]
    pub fn of(items: &'b [T]) -> Self {
        debug_assert!(items.len() <= MAX, "invariant: callers bound their lists");
        Self(Items::Given(&items[..items.len().min(MAX)]))
    }

    /// Number of items.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Items::Given(items) => items.len(),
            Items::Received { len, .. } => *len,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'b, T, MAX> {
        let (given, mut decoder, len) = match self.0 {
            Items::Given(items) => (items, Decoder::new(&[]), 0),
            Items::Received { bytes, len, .. } => (&[][..], Decoder::new(bytes), len),
        };
        // A received item decodes again as it did when the list was checked.
        given
            .iter()
            .cloned()
            .chain((0..len).map_while(move |_| decoder.decode().ok()))
    }
}

impl<T, const MAX: usize> Default for List<'_, T, MAX> {
    fn default() -> Self {
        Self(Items::Given(&[]))
    }
}

impl<'b, T: Clone + Decode<'b, ()> + fmt::Debug, const MAX: usize> fmt::Debug for List<'b, T, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'b, T: Clone + Decode<'b, ()> + PartialEq, const MAX: usize> PartialEq for List<'b, T, MAX> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'b, T: Clone + Decode<'b, ()> + Eq, const MAX: usize> Eq for List<'b, T, MAX> {}

impl<'b, C, T, const MAX: usize> Encode<C> for List<'b, T, MAX>
where
    T: Clone + Encode<()> + Decode<'b, ()>,
{
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.array(self.len() as u64)?;
        self.iter().try_for_each(|item| item.encode(e, &mut ()))
    }
}

impl<'b, C, T: Decode<'b, ()>, const MAX: usize> Decode<'b, C> for List<'b, T, MAX> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let len = d
            .array()?
            .ok_or_else(|| decode::Error::message("indefinite list"))?;
        let len = usize::try_from(len).ok().filter(|len| *len <= MAX);
        let len = len.ok_or_else(|| decode::Error::message("list beyond its bound"))?;
        let start = d.position();
        for _ in 0..len {
            T::decode(d, &mut ())?;
        }
        let bytes = &d.input()[start..d.position()];
        Ok(Self(Items::Received {
            bytes,
            len,
            item: PhantomData,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::{Malformed, decode, encode};

    #[test]
    fn a_list_is_read_as_it_was_given() {
        let given = List::<u32, 4>::of(&[1, 500, 70_000]);
        let mut buffer = [0; 32];
        let len = encode(&given, &mut buffer).expect("fits");
        let received: List<'_, u32, 4> = decode(&buffer[..len]).expect("valid");
        assert_eq!(received, given);
        assert_eq!(received.len(), 3);
    }

    #[test]
    fn a_list_beyond_its_bound_is_refused() {
        let mut buffer = [0; 32];
        let len = encode(&List::<u32, 4>::of(&[1, 2, 3, 4]), &mut buffer).expect("fits");
        let read: Result<List<'_, u32, 3>, _> = decode(&buffer[..len]);
        assert_eq!(read, Err(Malformed::Field));
    }
}
