//! The hash list: the sha256 of every piece of every layer, as sent.
//!
//! It proves a piece on arrival; it never replaces the check of a whole blob before use.

use crate::cbor::List;
use crate::digest::Digest;
use crate::limits::{LAYER_BYTES_MAX, LAYERS_MAX, PIECE_BYTES_MAX, PIECE_BYTES_MIN};
use minicbor::{Decode, Encode};

/// The pieces of every layer of one bundle.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HashList<'b> {
    /// Bytes of every piece but the last of a layer.
    #[n(0)]
    pub piece_size: u32,
    /// One entry for each layer but the hash list itself.
    #[b(1)]
    pub layers: List<'b, LayerHashes<'b>, LAYERS_MAX>,
}

/// The pieces of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LayerHashes<'b> {
    /// Digest of the layer as sent.
    #[n(0)]
    pub digest: Digest,
    /// Its size in bytes as sent.
    #[n(1)]
    pub size: u64,
    /// The sha256 of each piece in order, 32 bytes each.
    #[cbor(b(2), with = "minicbor::bytes")]
    pub pieces: &'b [u8],
}

/// What is wrong with a hash list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHashList {
    /// The piece size is outside its limits.
    PieceSize,
    /// A layer is empty or too large.
    LayerSize,
    /// The number of hashes does not fit the size.
    PieceCount,
}

impl core::fmt::Display for BadHashList {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::PieceSize => "the piece size is outside its limits",
            Self::LayerSize => "a layer is empty or too large",
            Self::PieceCount => "the number of piece hashes does not fit the size of a layer",
        })
    }
}

impl core::error::Error for BadHashList {}

impl<'b> HashList<'b> {
    /// Checks what the encoding alone does not: piece size, sizes and counts.
    ///
    /// # Errors
    /// [`BadHashList`].
    pub fn check(&self) -> Result<(), BadHashList> {
        if !(PIECE_BYTES_MIN..=PIECE_BYTES_MAX).contains(&self.piece_size) {
            return Err(BadHashList::PieceSize);
        }
        self.layers
            .iter()
            .try_for_each(|layer| layer.check(self.piece_size))
    }

    /// The pieces of the layer with this digest.
    #[must_use]
    pub fn layer(&self, digest: &Digest) -> Option<LayerHashes<'b>> {
        self.layers.iter().find(|layer| layer.digest == *digest)
    }
}

impl LayerHashes<'_> {
    /// Number of pieces.
    #[must_use]
    pub const fn len(&self) -> u32 {
        (self.pieces.len() / 32) as u32
    }

    /// Whether there are none; never so in a checked list.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The sha256 of piece `index`.
    #[must_use]
    pub fn piece(&self, index: u32) -> Option<Digest> {
        let start = index as usize * 32;
        let bytes = self.pieces.get(start..start + 32)?;
        bytes.try_into().ok().map(Digest)
    }

    /// Bytes of piece `index` as sent, when it exists.
    #[must_use]
    pub fn piece_len(&self, index: u32, piece_size: u32) -> Option<u32> {
        let start = u64::from(index) * u64::from(piece_size);
        let rest = self.size.checked_sub(start).filter(|rest| *rest > 0)?;
        Some(rest.min(u64::from(piece_size)) as u32)
    }

    fn check(&self, piece_size: u32) -> Result<(), BadHashList> {
        if self.size == 0 || self.size > LAYER_BYTES_MAX {
            return Err(BadHashList::LayerSize);
        }
        let pieces = self.size.div_ceil(u64::from(piece_size));
        if self.pieces.len() as u64 == pieces * 32 {
            Ok(())
        } else {
            Err(BadHashList::PieceCount)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor;

    fn layer(size: u64, pieces: &[u8]) -> LayerHashes<'_> {
        LayerHashes {
            digest: Digest([7; 32]),
            size,
            pieces,
        }
    }

    fn check(piece_size: u32, size: u64, pieces: usize, expect: Result<(), BadHashList>) {
        let hashes = [0; 128];
        let layers = [layer(size, &hashes[..pieces * 32])];
        let list = HashList {
            piece_size,
            layers: List::of(&layers),
        };
        let mut buffer = [0; 512];
        let len = cbor::encode(&list, &mut buffer).expect("fits");
        let read: HashList<'_> = cbor::decode(&buffer[..len]).expect("well formed");
        assert_eq!(read, list);
        assert_eq!(
            read.check(),
            expect,
            "piece_size={piece_size} size={size} pieces={pieces}"
        );
    }

    #[test]
    fn counts_fit_sizes() {
        check(4096, 1, 1, Ok(()));
        check(4096, 4096, 1, Ok(()));
        check(4096, 4097, 2, Ok(()));
        check(4096, 4097, 1, Err(BadHashList::PieceCount));
        check(4096, 4096, 2, Err(BadHashList::PieceCount));
        check(4096, 0, 0, Err(BadHashList::LayerSize));
        check(4096, LAYER_BYTES_MAX + 1, 1, Err(BadHashList::LayerSize));
        check(4095, 1, 1, Err(BadHashList::PieceSize));
        check(PIECE_BYTES_MAX + 1, 1, 1, Err(BadHashList::PieceSize));
    }

    #[test]
    fn the_last_piece_is_what_is_left() {
        let hashes = [0; 64];
        let layer = layer(5000, &hashes);
        assert_eq!(layer.piece_len(0, 4096), Some(4096));
        assert_eq!(layer.piece_len(1, 4096), Some(904));
        assert_eq!(layer.piece_len(2, 4096), None);
        assert!(layer.piece(1).is_some() && layer.piece(2).is_none());
    }
}
