//! The golden document of a bundle: vectors of another runtime, with the tolerance to which they
//! bind.
//!
//! `docs/bundle-format.md` section 7. It never says who is right: the trial does.

use super::tensor::Tensor;

/// Golden vectors of one model.
pub(crate) type Golden = muster_protocol::bundle::Golden<Tensor>;
/// One question and its answer.
pub(crate) type Vector = muster_protocol::bundle::GoldenVector<Tensor>;

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_document_is_read_as_it_was_written_and_no_cut_one_is() {
        let bytes = sample::golden().to_cbor();
        assert_eq!(Golden::from_cbor(&bytes).ok(), Some(sample::golden()));
        for end in 0..bytes.len() {
            assert!(Golden::from_cbor(&bytes[..end]).is_err(), "{end}");
        }
    }

    /// The reader is the agent's: these bytes must never change.
    #[test]
    fn the_bytes_are_fixed() {
        let hex: String = sample::golden()
            .to_cbor()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let expect = [
            "a4 0001 01 1b3f50624dd2f1a9fc 02 1b3f1a36e2eb1c432d 03 81 82",
            "81 a4 00 686665617475726573 01 0a 02 820102 03 48 0000803f00000040",
            "81 a4 00 6573636f7265 01 0a 02 8101 03 44 00004040",
        ];
        assert_eq!(hex, expect.concat().replace(' ', ""));
    }
}
