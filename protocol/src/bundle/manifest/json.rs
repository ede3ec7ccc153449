//! The JSON of a manifest (OCI image specification v1.1) and its translation.
//!
//! Field order is fixed by the types, so that writing is deterministic. It never judges a bundle
//! as a whole: that is the caller's part.

use super::{BadManifest, Compression, Descriptor, Layer, LayerKind, MANIFEST, Manifest};
use crate::bundle::media;
use crate::digest::Digest;
use crate::id::{ModelId, Version};
use crate::limits::{LAYERS_MAX, WHOLE_BYTES_MAX};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Annotation of OCI: a name for people.
const TITLE: &str = "org.opencontainers.image.title";
/// Annotation of OCI: a version for people.
const VERSION: &str = "org.opencontainers.image.version";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestJson {
    schema_version: u32,
    media_type: String,
    artifact_type: String,
    config: DescriptorJson,
    layers: Vec<DescriptorJson>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescriptorJson {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Manifest, BadManifest> {
    let read = serde_json::from_slice::<ManifestJson>(bytes);
    let json = read.map_err(|error| BadManifest::Malformed(error.to_string()))?;
    require("schemaVersion", "2", &json.schema_version.to_string())?;
    require("mediaType", MANIFEST, &json.media_type)?;
    require("artifactType", media::BUNDLE, &json.artifact_type)?;
    if json.layers.len() > LAYERS_MAX {
        return Err(BadManifest::TooManyLayers);
    }
    let layers = json
        .layers
        .iter()
        .map(DescriptorJson::layer)
        .collect::<Result<_, _>>()?;
    Ok(Manifest {
        card: json.config.card()?,
        layers,
    })
}

pub(super) fn write(manifest: &Manifest, model: &ModelId, version: &Version) -> Vec<u8> {
    let card = &manifest.card;
    let json = ManifestJson {
        schema_version: 2,
        media_type: MANIFEST.into(),
        artifact_type: media::BUNDLE.into(),
        config: DescriptorJson {
            media_type: media::CARD.into(),
            digest: card.digest.to_string(),
            size: card.size,
            annotations: BTreeMap::new(),
        },
        layers: manifest.layers.iter().map(DescriptorJson::of).collect(),
        annotations: BTreeMap::from([
            (TITLE.into(), model.to_string()),
            (VERSION.into(), version.to_string()),
        ]),
    };
    serde_json::to_vec(&json).expect("invariant: text, integers and maps with text keys are JSON")
}

impl DescriptorJson {
    fn of(layer: &Layer) -> Self {
        let mut annotations = BTreeMap::from([(TITLE.into(), title(layer.kind).into())]);
        if layer.compression == Compression::Zstd {
            annotations.insert(media::BLOB_DIGEST.into(), layer.blob_digest.to_string());
            annotations.insert(media::BLOB_SIZE.into(), layer.blob_size.to_string());
        }
        Self {
            media_type: media_type(layer.kind, layer.compression),
            digest: layer.digest.to_string(),
            size: layer.size,
            annotations,
        }
    }

    fn card(&self) -> Result<Descriptor, BadManifest> {
        require("config.mediaType", media::CARD, &self.media_type)?;
        super::check_size(&self.media_type, self.size, u64::from(WHOLE_BYTES_MAX))?;
        self.descriptor()
    }

    fn layer(&self) -> Result<Layer, BadManifest> {
        let (kind, compression) = kind_of(&self.media_type)?;
        let mut layer = Layer::plain(kind, self.descriptor()?);
        if compression == Compression::Zstd {
            (layer.blob_digest, layer.blob_size) = self.blob(kind)?;
            layer.compression = compression;
        }
        layer.check(&self.media_type)?;
        Ok(layer)
    }

    fn descriptor(&self) -> Result<Descriptor, BadManifest> {
        Ok(Descriptor {
            digest: digest(&self.digest)?,
            size: self.size,
        })
    }

    fn blob(&self, kind: LayerKind) -> Result<(Digest, u64), BadManifest> {
        let missing = || BadManifest::NoBlob(kind);
        let size = self
            .annotations
            .get(media::BLOB_SIZE)
            .and_then(|size| size.parse().ok());
        let named = self
            .annotations
            .get(media::BLOB_DIGEST)
            .ok_or_else(missing)?;
        Ok((digest(named)?, size.ok_or_else(missing)?))
    }
}

fn require(field: &'static str, expect: &str, found: &str) -> Result<(), BadManifest> {
    if found == expect {
        return Ok(());
    }
    Err(BadManifest::NotABundle {
        field,
        found: shortened(found),
    })
}

fn digest(text: &str) -> Result<Digest, BadManifest> {
    Digest::parse(text).map_err(|_| BadManifest::Digest(shortened(text)))
}

fn kind_of(found: &str) -> Result<(LayerKind, Compression), BadManifest> {
    let all = LayerKind::ALL.into_iter().flat_map(|kind| {
        [Compression::Plain, Compression::Zstd].map(|compression| (kind, compression))
    });
    let mut known = all.filter(|(kind, compression)| media_type(*kind, *compression) == found);
    known
        .next()
        .ok_or_else(|| BadManifest::UnknownMediaType(shortened(found)))
}

fn media_type(kind: LayerKind, compression: Compression) -> String {
    let plain = match kind {
        LayerKind::Model => media::MODEL,
        LayerKind::Reference => media::REFERENCE,
        LayerKind::Golden => media::GOLDEN,
        LayerKind::HashList => media::HASH_LIST,
    };
    match compression {
        Compression::Plain => plain.into(),
        Compression::Zstd => alloc::format!("{plain}{}", media::ZSTD),
    }
}

const fn title(kind: LayerKind) -> &'static str {
    match kind {
        LayerKind::Model => "model.onnx",
        LayerKind::Reference => "reference.cbor",
        LayerKind::Golden => "golden.cbor",
        LayerKind::HashList => "hash-list.cbor",
    }
}

/// Foreign text for a message.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
