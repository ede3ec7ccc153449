//! The manifest of a bundle: an OCI image manifest v1.1 that names its card and its layers.
//!
//! `docs/bundle-format.md` sections 2 to 4. It is read strictly where a device relies on it;
//! fields that registry tools add are passed over. It never opens a layer.

mod json;
mod plan;

pub use plan::{BundlePlan, Fetch, How};

use super::HashList;
use super::hash_list::BadHashList;
use crate::digest::Digest;
use crate::id::{ModelId, Version};
use crate::limits::{BLOB_BYTES_MAX, LAYER_BYTES_MAX, LAYERS_MAX, WHOLE_BYTES_MAX};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Media type of the manifest itself.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What a bundle consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The card, which travels whole.
    pub card: Descriptor,
    /// Each kind once, the hash list last.
    pub layers: Vec<Layer>,
}

/// Digest and size of bytes as they travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// The sha256 of the bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// One layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// What it holds.
    pub kind: LayerKind,
    /// Digest of the layer as sent.
    pub digest: Digest,
    /// Its size in bytes as sent.
    pub size: u64,
    /// Whether it is packed.
    pub compression: Compression,
    /// Digest of the blob before compression; that of the layer when it is plain.
    pub blob_digest: Digest,
    /// Size in bytes of the blob before compression.
    pub blob_size: u64,
}

/// What a layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// The ONNX file.
    Model,
    /// The reference distributions.
    Reference,
    /// The golden vectors.
    Golden,
    /// The hashes of the pieces of the other layers.
    HashList,
}

/// Whether a layer is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// The layer is the blob.
    Plain,
    /// The layer is one or more Zstandard frames (RFC 8878) that give the blob.
    Zstd,
}

/// Why bytes are not the manifest of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadManifest {
    /// More than [`WHOLE_BYTES_MAX`] bytes.
    TooLarge,
    /// Not JSON, or a field is missing or of the wrong kind.
    Malformed(String),
    /// Not an OCI image manifest with our `artifactType`.
    NotABundle {
        /// The field that says otherwise.
        field: &'static str,
        /// What it says.
        found: String,
    },
    /// A media type that this version does not know.
    UnknownMediaType(String),
    /// A digest that is not `sha256:` and 64 digits.
    Digest(String),
    /// A size of zero or beyond its limit.
    Size {
        /// Media type of the card or layer.
        media_type: String,
        /// Bytes that it claims.
        size: u64,
    },
    /// A compressed layer without digest and size of its blob.
    NoBlob(LayerKind),
    /// More than [`LAYERS_MAX`] layers.
    TooManyLayers,
    /// A kind of layer that is there twice.
    Twice(LayerKind),
    /// A kind of layer that is not there.
    Missing(LayerKind),
    /// The hash list is not the last layer, or is compressed.
    HashListPlace,
}

/// Why a hash list does not belong to a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// The list is wrong by itself.
    List(BadHashList),
    /// A layer that the list does not name with this digest and size.
    Layer(LayerKind),
    /// The list names more than the layers of the manifest.
    Surplus,
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`BadManifest`], which names what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadManifest> {
        if bytes.len() > WHOLE_BYTES_MAX as usize {
            return Err(BadManifest::TooLarge);
        }
        let manifest = json::read(bytes)?;
        manifest.check_kinds()?;
        Ok(manifest)
    }

    /// Writes it; the same manifest gives the same bytes. Model and version become annotations
    /// for people and registry tools.
    #[must_use]
    pub fn to_json(&self, model: &ModelId, version: &Version) -> Vec<u8> {
        json::write(self, model, version)
    }

    /// The layer of this kind; a manifest that was read has each.
    #[must_use]
    pub fn layer(&self, kind: LayerKind) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.kind == kind)
    }

    /// Checks that a hash list is well-formed and lists exactly the other layers, as sent.
    ///
    /// # Errors
    /// [`Misfit`].
    pub fn check_hash_list(&self, list: &HashList<'_>) -> Result<(), Misfit> {
        list.check().map_err(Misfit::List)?;
        let listed = self
            .layers
            .iter()
            .filter(|layer| layer.kind != LayerKind::HashList);
        for layer in listed.clone() {
            let same = list
                .layer(&layer.digest)
                .is_some_and(|hashes| hashes.size == layer.size);
            if !same {
                return Err(Misfit::Layer(layer.kind));
            }
        }
        if list.layers.len() == listed.count() {
            Ok(())
        } else {
            Err(Misfit::Surplus)
        }
    }

    fn check_kinds(&self) -> Result<(), BadManifest> {
        if self.layers.len() > LAYERS_MAX {
            return Err(BadManifest::TooManyLayers);
        }
        for kind in LayerKind::ALL {
            match self
                .layers
                .iter()
                .filter(|layer| layer.kind == kind)
                .count()
            {
                0 => return Err(BadManifest::Missing(kind)),
                1 => {}
                _ => return Err(BadManifest::Twice(kind)),
            }
        }
        let last = self
            .layers
            .last()
            .map(|layer| (layer.kind, layer.compression));
        if last == Some((LayerKind::HashList, Compression::Plain)) {
            return Ok(());
        }
        Err(BadManifest::HashListPlace)
    }
}

impl Layer {
    /// A layer that is its blob.
    #[must_use]
    pub const fn plain(kind: LayerKind, bytes: Descriptor) -> Self {
        let Descriptor { digest, size } = bytes;
        let compression = Compression::Plain;
        Self {
            kind,
            digest,
            size,
            compression,
            blob_digest: digest,
            blob_size: size,
        }
    }

    /// Digest and size as sent.
    #[must_use]
    pub const fn descriptor(&self) -> Descriptor {
        Descriptor {
            digest: self.digest,
            size: self.size,
        }
    }

    /// Checks sizes against the limits of a layer and of a blob.
    fn check(&self, media_type: &str) -> Result<(), BadManifest> {
        let sent_max = match self.kind {
            LayerKind::HashList => u64::from(WHOLE_BYTES_MAX),
            LayerKind::Model | LayerKind::Reference | LayerKind::Golden => LAYER_BYTES_MAX,
        };
        check_size(media_type, self.size, sent_max)?;
        check_size(media_type, self.blob_size, BLOB_BYTES_MAX)
    }
}

impl Descriptor {
    /// Digest and size of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        }
    }
}

impl LayerKind {
    /// Every kind, in the order in which a builder writes them.
    pub const ALL: [Self; 4] = [Self::Model, Self::Reference, Self::Golden, Self::HashList];

    /// One word for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Reference => "reference",
            Self::Golden => "golden",
            Self::HashList => "hash list",
        }
    }
}

impl fmt::Display for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

fn check_size(media_type: &str, size: u64, size_max: u64) -> Result<(), BadManifest> {
    if (1..=size_max).contains(&size) {
        return Ok(());
    }
    Err(BadManifest::Size {
        media_type: media_type.into(),
        size,
    })
}

impl fmt::Display for BadManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the manifest has more than {WHOLE_BYTES_MAX} bytes"),
            Self::Malformed(what) => write!(f, "the manifest is malformed: {what}"),
            Self::NotABundle { field, found } => {
                write!(f, "this is no bundle of ours: {field} is {found:?}")
            }
            Self::UnknownMediaType(found) => write!(f, "the media type {found:?} is not known"),
            Self::Digest(found) => write!(f, "{found:?} is no sha256 digest"),
            Self::Size { media_type, size } => {
                write!(
                    f,
                    "{media_type} has {size} bytes, which is zero or beyond its limit"
                )
            }
            Self::NoBlob(kind) => {
                write!(
                    f,
                    "the compressed {kind} layer lacks digest or size of its blob"
                )
            }
            Self::TooManyLayers => write!(f, "there are more than {LAYERS_MAX} layers"),
            Self::Twice(kind) => write!(f, "the {kind} layer is there twice"),
            Self::Missing(kind) => write!(f, "the {kind} layer is missing"),
            Self::HashListPlace => f.write_str("the hash list is compressed or not the last layer"),
        }
    }
}

impl core::error::Error for BadManifest {}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(bad) => write!(f, "{bad}"),
            Self::Layer(kind) => write!(f, "the hash list does not name the {kind} layer as sent"),
            Self::Surplus => f.write_str("the hash list names more than the manifest's layers"),
        }
    }
}

impl core::error::Error for Misfit {}

#[cfg(test)]
mod tests;
