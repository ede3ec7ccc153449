//! `muster bundle verify`: every byte of a bundle, and what it means; the first broken thing is
//! named.
//!
//! Whether a model is any good is not asked here: that is the trial's question.

use std::io::{self, Read as _};
use std::path::PathBuf;

use muster_protocol::bundle::card::BadCard;
use muster_protocol::bundle::manifest::{
    BadManifest, Compression, Descriptor, Layer, LayerKind, Misfit,
};
use muster_protocol::bundle::reference::BadFeature;
use muster_protocol::bundle::{Card, HashList, Manifest, Reference};
use muster_protocol::cbor::{self, Malformed};
use muster_protocol::digest::Digest;
use serde::Serialize;

use super::golden::Golden;
use super::layout::{self, INDEX_FILE, LAYOUT, LAYOUT_FILE, Layout, LayoutError};
use super::progress::Progress;
use crate::error::{Exit, OperatorError};
use crate::output::Output;

/// Arguments of `muster bundle verify`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct VerifyArgs {
    /// Folder of the bundle.
    folder: PathBuf,
}

/// What is printed of a bundle that is whole.
#[derive(Debug, Serialize)]
struct Whole {
    model: String,
    version: String,
    digest: String,
}

/// A bundle of which every byte was checked.
#[derive(Debug)]
pub(crate) struct Verified {
    /// The manifest as signed: digest and size.
    pub(crate) bundle: Descriptor,
    /// What it consists of.
    pub(crate) manifest: Manifest,
    /// What the model is.
    pub(crate) card: Card,
}

/// The first broken thing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    File(#[from] LayoutError),
    #[error("{LAYOUT_FILE} does not say that this is an image layout of version 1.0.0")]
    Layout,
    #[error("{INDEX_FILE} is not as a builder writes it for this manifest")]
    Index,
    #[error(transparent)]
    Manifest(#[from] BadManifest),
    #[error(transparent)]
    Card(#[from] BadCard),
    #[error("the {kind} layer cannot be unpacked: {source}")]
    Unpack { kind: LayerKind, source: io::Error },
    #[error("the {0} layer does not unpack to the blob that the manifest names")]
    Blob(LayerKind),
    #[error("the {kind} cannot be read: {because}")]
    Content { kind: LayerKind, because: Malformed },
    #[error(transparent)]
    HashList(#[from] Misfit),
    #[error("piece {piece} of the {kind} layer is not the one in the hash list")]
    Piece { kind: LayerKind, piece: usize },
    #[error("feature {name:?} of the reference cannot be counted: {bad:?}")]
    Feature { name: String, bad: BadFeature },
    #[error("the golden vectors cannot be read: {0}")]
    Golden(String),
    #[error("the card and the {0} layer disagree")]
    Disagree(LayerKind),
    #[error("{0} is no part of the bundle")]
    Surplus(String),
}

pub(super) fn run(args: &VerifyArgs, output: Output) -> Result<(), OperatorError> {
    let verified = verify(&Layout::at(&args.folder)).map_err(|broken| {
        OperatorError::new(
            Exit::BadInput,
            format!("verify the bundle {}", args.folder.display()),
            broken,
            "build it again, or copy it again from where it is whole",
        )
    })?;
    let whole = Whole {
        model: verified.card.model.to_string(),
        version: verified.card.version.to_string(),
        digest: verified.bundle.digest.to_string(),
    };
    output.print(&whole, |whole| {
        format!(
            "{} {} {} is whole",
            whole.model, whole.version, whole.digest
        )
    });
    Ok(())
}

/// Checks every byte of a bundle.
///
/// # Errors
/// The first broken thing.
pub(crate) fn verify(layout: &Layout) -> Result<Verified, Broken> {
    if layout.read(LAYOUT_FILE)? != LAYOUT {
        return Err(Broken::Layout);
    }
    let bundle = layout.manifest()?;
    let manifest = Manifest::parse(&layout.blob(&bundle)?)?;
    let card = Card::parse(&layout.blob(&manifest.card)?)?;
    if layout.read(INDEX_FILE)? != layout::index(&bundle, &card) {
        return Err(Broken::Index);
    }
    let list = layer(layout, &manifest, LayerKind::HashList)?;
    let list: HashList<'_> = cbor::decode(&list).map_err(|because| Broken::Content {
        kind: LayerKind::HashList,
        because,
    })?;
    manifest.check_hash_list(&list)?;
    let total = manifest.layers.iter().map(|layer| layer.size).sum();
    let progress = Progress::start("verifying", total);
    for layer in manifest
        .layers
        .iter()
        .filter(|layer| layer.kind != LayerKind::HashList)
    {
        let sent = layout.blob(&layer.descriptor())?;
        check_pieces(layer, &sent, &list)?;
        check_content(layer.kind, &unpacked(layer, sent)?, &card)?;
        progress.advance(layer.size);
    }
    check_files(layout, &bundle, &manifest)?;
    Ok(Verified {
        bundle,
        manifest,
        card,
    })
}

/// The blob of a layer.
pub(super) fn layer(
    layout: &Layout,
    manifest: &Manifest,
    kind: LayerKind,
) -> Result<Vec<u8>, Broken> {
    let layer = manifest.layer(kind).ok_or(BadManifest::Missing(kind))?;
    unpacked(layer, layout.blob(&layer.descriptor())?)
}

/// The blob of a layer, from the layer as sent.
///
/// # Errors
/// It cannot be unpacked, or gives another blob.
pub(crate) fn unpacked(layer: &Layer, sent: Vec<u8>) -> Result<Vec<u8>, Broken> {
    if layer.compression == Compression::Plain {
        return Ok(sent);
    }
    let unpack = || -> io::Result<Vec<u8>> {
        let mut blob = Vec::new();
        let reader = zstd::stream::read::Decoder::new(sent.as_slice())?;
        reader.take(layer.blob_size + 1).read_to_end(&mut blob)?;
        Ok(blob)
    };
    let blob = unpack().map_err(|source| Broken::Unpack {
        kind: layer.kind,
        source,
    })?;
    let same = blob.len() as u64 == layer.blob_size && Digest::of(&blob) == layer.blob_digest;
    if same {
        Ok(blob)
    } else {
        Err(Broken::Blob(layer.kind))
    }
}

fn check_pieces(layer: &Layer, sent: &[u8], list: &HashList<'_>) -> Result<(), Broken> {
    let listed = list.layer(&layer.digest).ok_or(Misfit::Layer(layer.kind))?;
    for (piece, bytes) in sent.chunks(list.piece_size as usize).enumerate() {
        if listed.piece(piece as u32) != Some(Digest::of(bytes)) {
            return Err(Broken::Piece {
                kind: layer.kind,
                piece,
            });
        }
    }
    Ok(())
}

fn check_content(kind: LayerKind, blob: &[u8], card: &Card) -> Result<(), Broken> {
    match kind {
        LayerKind::Model | LayerKind::HashList => Ok(()),
        LayerKind::Reference => check_reference(blob, card),
        LayerKind::Golden => check_golden(blob, card),
    }
}

fn check_reference(blob: &[u8], card: &Card) -> Result<(), Broken> {
    let kind = LayerKind::Reference;
    let reference: Reference<'_> =
        cbor::decode(blob).map_err(|because| Broken::Content { kind, because })?;
    for feature in reference.features.iter() {
        let counted = feature.scale().map(drop);
        let judged = feature.limits(reference.variation).map(drop);
        counted.and(judged).map_err(|bad| Broken::Feature {
            name: feature.name.to_owned(),
            bad,
        })?;
    }
    let named = reference.features.iter().map(|feature| feature.name);
    if named.eq(card.features.iter().map(String::as_str)) {
        return Ok(());
    }
    Err(Broken::Disagree(kind))
}

fn check_golden(blob: &[u8], card: &Card) -> Result<(), Broken> {
    let golden = Golden::from_cbor(blob).map_err(|error| Broken::Golden(error.to_string()))?;
    let said = (
        card.golden.vectors as usize,
        card.golden.rtol,
        card.golden.atol,
    );
    if (golden.vectors.len(), golden.rtol, golden.atol) == said {
        return Ok(());
    }
    Err(Broken::Disagree(LayerKind::Golden))
}

fn check_files(layout: &Layout, bundle: &Descriptor, all: &Manifest) -> Result<(), Broken> {
    let blobs = all.layers.iter().map(|layer| layer.digest);
    let blobs = blobs.chain([bundle.digest, all.card.digest]);
    let mut known: Vec<String> = blobs
        .map(|digest| format!("blobs/sha256/{}", digest.hex()))
        .collect();
    known.extend([LAYOUT_FILE.to_owned(), INDEX_FILE.to_owned()]);
    match layout
        .files()?
        .into_iter()
        .find(|name| !known.contains(name))
    {
        Some(surplus) => Err(Broken::Surplus(surplus)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::sample;
    use super::*;
    use crate::hostile::mutated;
    use proptest::prelude::*;

    #[test]
    fn a_bundle_is_whole_as_built() {
        let folder = sample::bundle();
        let verified = verify(&Layout::at(folder.path())).expect("whole");
        assert_eq!(verified.card, sample::card());
    }

    /// About forty positions in each file, the first and the last among them.
    #[test]
    fn a_flipped_byte_anywhere_is_found() {
        let folder = sample::bundle();
        let layout = Layout::at(folder.path());
        let names = layout.files().expect("files");
        assert_eq!(names.len(), 8);
        for name in names {
            let path = layout.path(&name);
            let whole = fs::read(&path).expect("read");
            let step = (whole.len() / 40).max(1);
            for at in (0..whole.len()).step_by(step).chain([whole.len() - 1]) {
                let mut flipped = whole.clone();
                flipped[at] ^= 0x10;
                fs::write(&path, &flipped).expect("written");
                assert!(verify(&layout).is_err(), "byte {at} of {name}");
            }
            fs::write(&path, &whole).expect("written");
        }
        verify(&layout).expect("whole again");
    }

    fn check(defect: &str, damage: fn(&Layout), expect: &str) {
        let folder = sample::bundle();
        let layout = Layout::at(folder.path());
        damage(&layout);
        let said = verify(&layout).expect_err(defect).to_string();
        assert!(said.contains(expect), "{defect}: {said}");
    }

    fn blob_of(layout: &Layout, kind: LayerKind) -> PathBuf {
        let verified = verify(layout).expect("whole before");
        let layer = verified.manifest.layer(kind).expect("there");
        layout.blob_path(&layer.digest)
    }

    #[test]
    fn the_first_broken_thing_is_named() {
        let surplus = |layout: &Layout| fs::write(layout.path("note"), b"").expect("written");
        check("surplus file", surplus, "note is no part");
        let lost = |layout: &Layout| {
            fs::remove_file(blob_of(layout, LayerKind::Model)).expect("removed");
        };
        check("lost blob", lost, "cannot be read");
        let cut = |layout: &Layout| {
            fs::write(blob_of(layout, LayerKind::Golden), b"x").expect("written");
        };
        check("cut blob", cut, "has 1 bytes");
        let no_index = |layout: &Layout| {
            fs::write(layout.path(INDEX_FILE), b"{}").expect("written");
        };
        check("empty index", no_index, "no index of one bundle");
        let none = |layout: &Layout| fs::remove_file(layout.path(LAYOUT_FILE)).expect("removed");
        check("no layout", none, "oci-layout cannot be read");
    }

    #[test]
    fn documents_that_disagree_are_found() {
        let mut parts = sample::parts();
        parts.card.features.pop();
        check_parts(&parts, "the card and the reference layer disagree");
        let mut parts = sample::parts();
        parts.card.golden.rtol = 0.5;
        check_parts(&parts, "the card and the golden layer disagree");
        let mut parts = sample::parts();
        parts.golden = b"no vectors".to_vec();
        check_parts(&parts, "golden vectors cannot be read");
    }

    fn check_parts(parts: &super::super::pack::Parts, expect: &str) {
        let folder = sample::written(parts);
        let said = verify(&Layout::at(folder.path()))
            .expect_err(expect)
            .to_string();
        assert!(said.contains(expect), "{said}");
    }

    /// A file of the sample, and hostile bytes in its place.
    fn spoilt() -> impl Strategy<Value = (String, Vec<u8>)> {
        let folder = sample::written(&sample::parts());
        let files = Layout::at(folder.path()).files().expect("readable");
        let read = |name: &String| fs::read(folder.path().join(name)).expect("readable");
        let all: Vec<_> = files
            .iter()
            .map(|name| (name.clone(), read(name)))
            .collect();
        proptest::sample::select(all).prop_flat_map(|(name, bytes)| (Just(name), mutated(bytes)))
    }

    proptest! {
        #[test]
        fn a_hostile_file_in_a_bundle_is_found((name, bytes) in spoilt()) {
            let folder = sample::written(&sample::parts());
            let path = folder.path().join(&name);
            let before = fs::read(&path).expect("readable");
            fs::write(&path, &bytes).expect("written");
            let verified = verify(&Layout::at(folder.path()));
            // What has no digest of its own may be written in another way.
            prop_assert!(verified.is_err() || bytes == before || !name.starts_with("blobs/"));
        }
    }
}
