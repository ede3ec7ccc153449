//! Parts become the files of an OCI image layout: compressed, listed, named by their digests.
//!
//! The same parts give the same files: no time, no place, no order of a map. Nothing is written
//! here.

use muster_protocol::bundle::card::BadCard;
use muster_protocol::bundle::manifest::{Compression, Descriptor, Layer, LayerKind};
use muster_protocol::bundle::{Card, HashList, LayerHashes, Manifest};
use muster_protocol::cbor::{self, List};
use muster_protocol::digest::Digest;
use muster_protocol::limits::{LAYER_BYTES_MAX, PIECE_BYTES_MAX, WHOLE_BYTES_MAX};

use super::progress::Progress;

/// Zstandard level: higher ones cost much time for little.
const LEVEL: i32 = 3;
/// A layer is packed if that saves at least this share of it, in percent.
const SAVING_PERCENT_MIN: u64 = 3;

/// What goes into a bundle.
pub(crate) struct Parts {
    /// The card.
    pub(crate) card: Card,
    /// The ONNX file.
    pub(crate) model: Vec<u8>,
    /// The reference document.
    pub(crate) reference: Vec<u8>,
    /// The golden document.
    pub(crate) golden: Vec<u8>,
    /// Bytes of a piece, within the limits of the protocol.
    pub(crate) piece_bytes: u32,
}

/// A bundle, in memory.
pub(crate) struct Packed {
    /// The manifest as bytes.
    pub(crate) manifest_bytes: Vec<u8>,
    /// Every blob, the manifest last.
    pub(crate) blobs: Vec<Vec<u8>>,
}

/// Why parts make no bundle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    #[error(transparent)]
    Card(#[from] BadCard),
    #[error("the {kind} has {size} bytes as sent, at most {LAYER_BYTES_MAX} can travel")]
    TooLarge { kind: LayerKind, size: u64 },
    #[error("its pieces are more than a hash list can name, even at {PIECE_BYTES_MAX} bytes each")]
    TooManyPieces,
    #[error("it cannot be compressed: {0}")]
    Compress(#[from] std::io::Error),
}

/// Packs.
pub(crate) fn pack(parts: &Parts) -> Result<Packed, PackError> {
    let blobs = [
        (LayerKind::Model, &parts.model),
        (LayerKind::Reference, &parts.reference),
        (LayerKind::Golden, &parts.golden),
    ];
    let total = blobs.iter().map(|(_, blob)| blob.len() as u64).sum();
    let progress = Progress::start("compressing and hashing", total);
    let mut layers = Vec::new();
    let mut sent = vec![parts.card.to_json()?];
    for (kind, blob) in blobs {
        let (layer, bytes) = layer(kind, blob)?;
        layers.push(layer);
        sent.push(bytes);
        progress.advance(blob.len() as u64);
    }
    let list = hash_list(&sent[1..], parts.piece_bytes)?;
    layers.push(Layer::plain(LayerKind::HashList, Descriptor::of(&list)));
    let manifest = Manifest {
        card: Descriptor::of(&sent[0]),
        layers,
    };
    let manifest_bytes = manifest.to_json(&parts.card.model, &parts.card.version);
    sent.extend([list, manifest_bytes.clone()]);
    Ok(Packed {
        manifest_bytes,
        blobs: sent,
    })
}

fn layer(kind: LayerKind, blob: &[u8]) -> Result<(Layer, Vec<u8>), PackError> {
    let packed = zstd::bulk::compress(blob, LEVEL)?;
    let (size, packed_size) = (blob.len() as u64, packed.len() as u64);
    let mut layer = Layer::plain(kind, Descriptor::of(blob));
    let helps = packed_size * 100 <= size * (100 - SAVING_PERCENT_MIN);
    let bytes = if helps { packed } else { blob.to_vec() };
    if helps {
        let Descriptor { digest, size } = Descriptor::of(&bytes);
        (layer.compression, layer.digest, layer.size) = (Compression::Zstd, digest, size);
    }
    match layer.size {
        1..=LAYER_BYTES_MAX => Ok((layer, bytes)),
        size => Err(PackError::TooLarge { kind, size }),
    }
}

/// The list with pieces of the size asked for, or of the largest size where it would not fit.
fn hash_list(layers: &[Vec<u8>], piece_bytes: u32) -> Result<Vec<u8>, PackError> {
    let mut lists = [piece_bytes, PIECE_BYTES_MAX]
        .into_iter()
        .map(|size| listed(layers, size));
    let fitting = lists.find(|list| list.len() <= WHOLE_BYTES_MAX as usize);
    fitting.ok_or(PackError::TooManyPieces)
}

fn listed(layers: &[Vec<u8>], piece_size: u32) -> Vec<u8> {
    let hashes = |layer: &Vec<u8>| {
        let pieces = layer.chunks(piece_size as usize);
        pieces
            .flat_map(|piece| Digest::of(piece).0)
            .collect::<Vec<u8>>()
    };
    let hashes: Vec<Vec<u8>> = layers.iter().map(hashes).collect();
    let described = layers
        .iter()
        .map(|layer| Descriptor::of(layer))
        .zip(&hashes);
    let entries: Vec<LayerHashes<'_>> = described
        .map(|(layer, pieces)| LayerHashes {
            digest: layer.digest,
            size: layer.size,
            pieces,
        })
        .collect();
    cbor::to_vec(&HashList {
        piece_size,
        layers: List::of(&entries),
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_same_parts_give_the_same_bytes() {
        let (one, other) = (sample::packed(), sample::packed());
        assert_eq!(one.blobs, other.blobs);
        assert!(Manifest::parse(&one.manifest_bytes).is_ok());
    }

    fn check(blob: &[u8], expect: Compression) {
        let (layer, bytes) = layer(LayerKind::Model, blob).expect("packs");
        assert_eq!(layer.compression, expect);
        assert_eq!(
            (layer.size, layer.digest),
            (bytes.len() as u64, Digest::of(&bytes))
        );
        assert_eq!(
            (layer.blob_size, layer.blob_digest),
            (blob.len() as u64, Digest::of(blob))
        );
    }

    #[test]
    fn a_layer_is_packed_where_it_helps() {
        check(&[7; 10_000], Compression::Zstd);
        let noise: Vec<u8> = (0..400u32)
            .flat_map(|i| Digest::of(&i.to_le_bytes()).0)
            .collect();
        check(&noise, Compression::Plain);
        check(b"x", Compression::Plain);
        assert!(matches!(
            layer(LayerKind::Golden, b""),
            Err(PackError::TooLarge { .. })
        ));
    }

    #[test]
    fn pieces_grow_where_the_list_would_not_fit() {
        let list = |bytes| {
            let list = hash_list(&[vec![0; bytes]], 4096).expect("fits");
            cbor::decode::<HashList<'_>>(&list)
                .expect("a list")
                .piece_size
        };
        assert_eq!(list(1 << 20), 4096);
        assert_eq!(list(13 << 20), PIECE_BYTES_MAX);
    }
}
