//! What it takes to have a bundle: what to fetch in which order, and the room that it needs.
//!
//! It never says where bytes come from, nor which of them are there already.

use super::{Compression, Descriptor, Layer, LayerKind, Manifest};
use alloc::vec::Vec;

/// What it takes to have a bundle whose manifest is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundlePlan {
    /// What to fetch, in this order: hash list, card, then the other layers.
    pub fetch: Vec<Fetch>,
    /// Bytes on disk: card, layers as sent and blobs that are unpacked from them.
    pub disk_bytes: u64,
}

/// One thing to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch {
    /// What, as sent.
    pub descriptor: Descriptor,
    /// Whole, or in pieces that the hash list proves.
    pub how: How,
}

/// How bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// In one message, proved by the digest.
    Whole,
    /// In pieces, each proved by the hash list.
    Pieces,
}

impl Manifest {
    /// What it takes to have this bundle.
    #[must_use]
    pub fn plan(&self) -> BundlePlan {
        let whole = |descriptor| Fetch {
            descriptor,
            how: How::Whole,
        };
        let (lists, others): (Vec<&Layer>, Vec<&Layer>) = self
            .layers
            .iter()
            .partition(|layer| layer.kind == LayerKind::HashList);
        let lists = lists.into_iter().map(|layer| whole(layer.descriptor()));
        let others = others.into_iter().map(|layer| Fetch {
            descriptor: layer.descriptor(),
            how: How::Pieces,
        });
        let fetch = lists.chain([whole(self.card)]).chain(others).collect();
        BundlePlan {
            fetch,
            disk_bytes: self.disk_bytes(),
        }
    }

    fn disk_bytes(&self) -> u64 {
        let layers = self.layers.iter().map(|layer| match layer.compression {
            Compression::Plain => layer.size,
            Compression::Zstd => layer.size.saturating_add(layer.blob_size),
        });
        layers.fold(self.card.size, u64::saturating_add)
    }
}
