//! A packed model: an OCI image layout whose layers travel in pieces.
//!
//! `docs/bundle-format.md` is the specification. Here are the parts that a small node reads; the
//! manifest, which is JSON, comes with the feature `alloc`.

#[cfg(feature = "alloc")]
pub mod card;
#[cfg(feature = "alloc")]
pub mod golden;
pub mod hash_list;
#[cfg(feature = "alloc")]
pub mod manifest;
pub mod reference;
pub mod variation;

#[cfg(feature = "alloc")]
pub use card::Card;
#[cfg(feature = "alloc")]
pub use golden::{Golden, GoldenError, GoldenVector};
pub use hash_list::{HashList, LayerHashes};
#[cfg(feature = "alloc")]
pub use manifest::Manifest;
pub use reference::{FeatureReference, Probabilities, Reference, Source};
pub use variation::{FeatureLimits, Variation};

/// Media types of a bundle, its parts and their compressed forms.
pub mod media {
    /// `artifactType` of the manifest.
    pub const BUNDLE: &str = "application/vnd.muster.bundle.v1";
    /// The config blob: the model's card.
    pub const CARD: &str = "application/vnd.muster.card.v1+json";
    /// The model.
    pub const MODEL: &str = "application/vnd.muster.model.v1.onnx";
    /// The reference distributions.
    pub const REFERENCE: &str = "application/vnd.muster.reference.v1+cbor";
    /// The golden vectors.
    pub const GOLDEN: &str = "application/vnd.muster.golden.v1+cbor";
    /// The hashes of the pieces of all other layers.
    pub const HASH_LIST: &str = "application/vnd.muster.hash-list.v1+cbor";
    /// Appended to a media type when the layer is compressed with Zstandard.
    pub const ZSTD: &str = "+zstd";
    /// Annotation: digest of the blob before compression.
    pub const BLOB_DIGEST: &str = "vnd.muster.blob.digest";
    /// Annotation: size in bytes of the blob before compression.
    pub const BLOB_SIZE: &str = "vnd.muster.blob.size";
}
