//! The counts of one feature in a window, as they are written.
//!
//! Where every bin counts less than 256, as over a window of minutes, in a short form without
//! keys: most bytes of a fleet's telemetry are these. Otherwise as a map. Readers take both.

use super::bins::Bins;
use crate::cbor::{List, after, head};
use crate::limits::BINS_MAX;
use crate::stats::FeatureCounts;
use minicbor::data::Type;
use minicbor::decode::Error as Bad;
use minicbor::encode::{Error, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};

/// Counts of one feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureWindow<'b> {
    /// Values in each bin of the reference.
    pub bins: Bins<'b>,
    /// See [`FeatureCounts::missing`].
    pub missing: u32,
    /// See [`FeatureCounts::non_finite`].
    pub non_finite: u32,
    /// See [`FeatureCounts::out_of_range`].
    pub out_of_range: u32,
    /// See [`FeatureCounts::sum`].
    pub sum: i64,
    /// See [`FeatureCounts::sum_of_squares`].
    pub sum_of_squares: u64,
    /// See [`FeatureCounts::repeats`].
    pub repeats: u32,
    /// See [`FeatureCounts::longest_run`].
    pub longest_run: u32,
}

/// The form with keys.
#[derive(Encode, Decode)]
#[cbor(map)]
struct Keyed<'b> {
    #[b(0)]
    bins: List<'b, u32, BINS_MAX>,
    #[n(1)]
    #[cbor(default)]
    missing: u32,
    #[n(2)]
    #[cbor(default)]
    non_finite: u32,
    #[n(3)]
    #[cbor(default)]
    out_of_range: u32,
    #[n(4)]
    sum: i64,
    #[n(5)]
    sum_of_squares: u64,
    #[n(6)]
    repeats: Option<u32>,
    #[n(7)]
    longest_run: Option<u32>,
}

/// Items that the short form always has: bins, sum, sum of squares.
const SHORT_MIN: u64 = 3;
/// Items that follow up to the last that is not zero.
const SHORT_MORE: usize = 5;

impl<'b> FeatureWindow<'b> {
    /// The first `bins` bins of `counts`, to be written.
    #[must_use]
    pub fn of(counts: &'b FeatureCounts, bins: usize) -> Self {
        Self {
            bins: Bins::of(&counts.bins[..bins.min(BINS_MAX)]),
            missing: counts.missing,
            non_finite: counts.non_finite,
            out_of_range: counts.out_of_range,
            sum: counts.sum,
            sum_of_squares: counts.sum_of_squares,
            repeats: counts.repeats,
            longest_run: counts.longest_run,
        }
    }

    /// The counts, to be merged or judged.
    #[must_use]
    pub fn counts(&self) -> FeatureCounts {
        FeatureCounts {
            bins: self.bins.to_array(),
            missing: self.missing,
            non_finite: self.non_finite,
            out_of_range: self.out_of_range,
            sum: self.sum,
            sum_of_squares: self.sum_of_squares,
            repeats: self.repeats,
            longest_run: self.longest_run,
        }
    }

    fn keyed(&self, bins: List<'b, u32, BINS_MAX>) -> Keyed<'b> {
        let present = |count: u32| (count > 0).then_some(count);
        Keyed {
            bins,
            missing: self.missing,
            non_finite: self.non_finite,
            out_of_range: self.out_of_range,
            sum: self.sum,
            sum_of_squares: self.sum_of_squares,
            repeats: present(self.repeats),
            longest_run: present(self.longest_run),
        }
    }

    /// What follows in the short form: first what is most often there.
    const fn more(&self) -> [u32; SHORT_MORE] {
        [
            self.out_of_range,
            self.repeats,
            self.longest_run,
            self.missing,
            self.non_finite,
        ]
    }

    fn encode_short<W: Write>(
        &self,
        bytes: &[u8],
        e: &mut Encoder<W>,
    ) -> Result<(), Error<W::Error>> {
        let more = self.more();
        let last = more.iter().rposition(|count| *count > 0);
        let more = &more[..last.map_or(0, |last| last + 1)];
        e.array(SHORT_MIN + more.len() as u64)?.bytes(bytes)?;
        e.i64(self.sum)?.u64(self.sum_of_squares)?;
        more.iter().try_for_each(|count| e.u32(*count).map(drop))
    }

    /// Reads the short form, by the heads of its items alone: a fleet's controller does little else.
    fn read_short(bytes: &'b [u8]) -> Option<(Self, &'b [u8])> {
        let (4, items @ SHORT_MIN.., rest) = head(bytes).ok()? else {
            return None;
        };
        let (2, len, rest) = head(rest).ok()? else {
            return None;
        };
        let (bins, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
        let (sum, rest) = signed(rest)?;
        let (sum_of_squares, mut rest) = unsigned(rest)?;
        let mut more = [0; SHORT_MORE];
        let there = (items - SHORT_MIN).min(SHORT_MORE as u64);
        for count in &mut more[..there as usize] {
            let (next, behind) = unsigned(rest)?;
            (*count, rest) = (u32::try_from(next).ok()?, behind);
        }
        // What a later version appends.
        for _ in there + SHORT_MIN..items {
            rest = after(rest).ok()?;
        }
        let [out_of_range, repeats, longest_run, missing, non_finite] = more;
        let read = Self {
            bins: Bins::of_bytes(bins)?,
            missing,
            non_finite,
            out_of_range,
            sum,
            sum_of_squares,
            repeats,
            longest_run,
        };
        Some((read, rest))
    }
}

fn unsigned(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match head(bytes).ok()? {
        (0, number, rest) => Some((number, rest)),
        _ => None,
    }
}

fn signed(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (major, number, rest) = head(bytes).ok()?;
    let number = i64::try_from(number).ok()?;
    match major {
        0 => Some((number, rest)),
        1 => Some((-1 - number, rest)),
        _ => None,
    }
}

impl<C> Encode<C> for FeatureWindow<'_> {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), Error<W::Error>> {
        let short: Option<heapless::Vec<u8, BINS_MAX>> = self.bins.to_bytes();
        match (short, self.bins.as_list()) {
            (None, Some(list)) => self.keyed(list).encode(e, &mut ()),
            (short, _) => self.encode_short(&short.unwrap_or_default(), e),
        }
    }
}

impl<'b, C> Decode<'b, C> for FeatureWindow<'b> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Bad> {
        if d.datatype()? == Type::Array {
            let read = Self::read_short(&d.input()[d.position()..]);
            let (read, rest) = read.ok_or_else(|| Bad::message("no counts of a feature"))?;
            d.set_position(d.input().len() - rest.len());
            return Ok(read);
        }
        let keyed = Keyed::decode(d, &mut ())?;
        Ok(Self {
            bins: keyed.bins.into(),
            missing: keyed.missing,
            non_finite: keyed.non_finite,
            out_of_range: keyed.out_of_range,
            sum: keyed.sum,
            sum_of_squares: keyed.sum_of_squares,
            repeats: keyed.repeats.unwrap_or(0),
            longest_run: keyed.longest_run.unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::cbor;

    fn check(bins: &[u32], more: [u32; SHORT_MORE], expect: usize) {
        let [out_of_range, repeats, longest_run, missing, non_finite] = more;
        let feature = FeatureWindow {
            bins: Bins::of(bins),
            missing,
            non_finite,
            out_of_range,
            sum: -4000,
            sum_of_squares: 20_000_000,
            repeats,
            longest_run,
        };
        let mut buffer = [0; 128];
        let len = cbor::encode(&feature, &mut buffer).expect("fits");
        let read: FeatureWindow<'_> = cbor::decode(&buffer[..len]).expect("valid");
        assert_eq!(read, feature);
        assert_eq!(read.counts(), feature.counts());
        assert_eq!(len, expect, "{feature:?}");
        // Written again as it was read.
        let mut again = [0; 128];
        let len_again = cbor::encode(&read, &mut again).expect("fits");
        assert_eq!(again[..len_again], buffer[..len]);
    }

    #[test]
    fn small_counts_are_short_and_large_ones_have_keys() {
        check(&[], [0; 5], 10);
        check(&[17; 18], [0; 5], 28);
        check(&[255; 18], [0; 5], 28);
        check(&[17; 18], [1, 0, 0, 0, 0], 29);
        check(&[17; 18], [0, 300, 24, 0, 0], 34);
        check(&[17; 18], [0, 0, 0, 0, 1], 33);
        check(&[256, 0], [0; 5], 23);
        check(&[256, 0], [0, 1, 1, 0, 0], 27);
    }

    #[test]
    fn what_a_later_version_appends_is_skipped() {
        let later: [u8; 12] = [0x89, 0x42, 3, 200, 0x24, 0x18, 25, 7, 6, 5, 0x80, 0x41];
        let read = |bytes: &[u8]| cbor::decode::<FeatureWindow<'_>>(bytes).map(|read| read.more());
        // Nine items: three, five, and one behind.
        assert!(read(&later).is_err());
        let whole = [&later[..10], &[4, 3, 0x61, b'?']].concat();
        assert_eq!(read(&whole), Ok([7, 6, 5, 4, 3]));
    }

    #[test]
    fn small_counts_with_keys_are_read_as_an_earlier_version_wrote_them() {
        let keyed = [0xa6, 0, 0x82, 3, 17, 1, 0, 2, 0, 3, 1, 4, 0x24, 5, 0x18, 25];
        let read: FeatureWindow<'_> = cbor::decode(&keyed).expect("valid");
        let expect = FeatureWindow {
            bins: Bins::of(&[3, 17]),
            missing: 0,
            non_finite: 0,
            out_of_range: 1,
            sum: -5,
            sum_of_squares: 25,
            repeats: 0,
            longest_run: 0,
        };
        assert_eq!(read, expect);
    }

    #[test]
    fn too_many_bins_are_refused() {
        let mut bytes = std::vec![0x83, 0x53];
        bytes.extend([1; BINS_MAX + 1]);
        bytes.extend([0, 0]);
        assert!(cbor::decode::<FeatureWindow<'_>>(&bytes).is_err());
    }
}
