//! Counts by bin, as given, or as received in either form; read lazily.
//!
//! Never more than [`BINS_MAX`] of them.

use crate::cbor::List;
use crate::limits::BINS_MAX;
use core::fmt;

/// Values in each bin.
#[derive(Clone, Copy)]
pub struct Bins<'b>(Form<'b>);

#[derive(Clone, Copy)]
enum Form<'b> {
    List(List<'b, u32, BINS_MAX>),
    /// A byte for each bin.
    Bytes(&'b [u8]),
}

impl<'b> Bins<'b> {
    /// These counts; those beyond [`BINS_MAX`] are cut off, which a caller prevents.
    #[must_use]
    pub fn of(counts: &'b [u32]) -> Self {
        Self(Form::List(List::of(counts)))
    }

    /// Number of bins.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Form::List(list) => list.len(),
            Form::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The counts in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'b> {
        let (list, bytes) = match self.0 {
            Form::List(list) => (list, &[][..]),
            Form::Bytes(bytes) => (List::default(), bytes),
        };
        list.iter().chain(bytes.iter().map(|byte| u32::from(*byte)))
    }

    /// The counts, and zeros behind them.
    #[must_use]
    pub fn to_array(&self) -> [u32; BINS_MAX] {
        let mut all = [0; BINS_MAX];
        match &self.0 {
            Form::List(list) => write(&mut all, list.iter()),
            // Most windows are these; a loop over bytes alone is several times faster.
            Form::Bytes(bytes) => write(&mut all, bytes.iter().map(|byte| u32::from(*byte))),
        }
        all
    }

    /// A byte for each bin; none when a count has no room in it.
    pub(super) fn to_bytes(self) -> Option<heapless::Vec<u8, BINS_MAX>> {
        self.iter().map(|count| u8::try_from(count).ok()).collect()
    }

    pub(super) const fn as_list(&self) -> Option<List<'b, u32, BINS_MAX>> {
        match self.0 {
            Form::List(list) => Some(list),
            Form::Bytes(_) => None,
        }
    }

    /// A byte for each bin; none when they are too many.
    pub(super) fn of_bytes(bytes: &'b [u8]) -> Option<Self> {
        (bytes.len() <= BINS_MAX).then_some(Self(Form::Bytes(bytes)))
    }
}

fn write(all: &mut [u32; BINS_MAX], counts: impl Iterator<Item = u32>) {
    all.iter_mut()
        .zip(counts)
        .for_each(|(bin, count)| *bin = count);
}

impl<'b> From<List<'b, u32, BINS_MAX>> for Bins<'b> {
    fn from(list: List<'b, u32, BINS_MAX>) -> Self {
        Self(Form::List(list))
    }
}

impl fmt::Debug for Bins<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Bins<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Bins<'_> {}
