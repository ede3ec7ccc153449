//! A manifest is read as it was written, and each defect has its own name.

use super::*;
use crate::bundle::LayerHashes;
use crate::cbor::List;
use alloc::string::ToString;

fn layer(kind: LayerKind, size: u64) -> Layer {
    Layer::plain(
        kind,
        Descriptor {
            digest: Digest([kind as u8; 32]),
            size,
        },
    )
}

fn sample() -> Manifest {
    let mut model = layer(LayerKind::Model, 5_000);
    model.compression = Compression::Zstd;
    (model.blob_digest, model.blob_size) = (Digest([9; 32]), 20_000);
    let layers = Vec::from([
        model,
        layer(LayerKind::Reference, 300),
        layer(LayerKind::Golden, 400),
        layer(LayerKind::HashList, 100),
    ]);
    Manifest {
        card: Descriptor {
            digest: Digest([7; 32]),
            size: 600,
        },
        layers,
    }
}

fn written(manifest: &Manifest) -> String {
    let (model, version) = (ModelId::parse("bearing"), Version::parse("1.2.0"));
    let bytes = manifest.to_json(&model.expect("valid"), &version.expect("valid"));
    String::from_utf8(bytes).expect("JSON")
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    assert_eq!(Manifest::parse(written(&sample()).as_bytes()), Ok(sample()));
}

#[test]
fn every_cut_is_refused() {
    let text = written(&sample());
    for end in 0..text.len() {
        assert!(Manifest::parse(&text.as_bytes()[..end]).is_err(), "{end}");
    }
}

fn check(defect: &str, from: &str, to: &str, expect: &str) {
    let text = written(&sample());
    assert!(text.contains(from), "{defect}: {from} is not in {text}");
    let refused = Manifest::parse(text.replacen(from, to, 1).as_bytes());
    let said = refused.expect_err(defect).to_string();
    assert!(said.contains(expect), "{defect}: {said}");
}

#[test]
fn a_defect_in_the_text_is_named() {
    check(
        "other artifact",
        "vnd.muster.bundle.v1",
        "vnd.muster.bundle.v2",
        "artifactType",
    );
    check(
        "other schema",
        "\"schemaVersion\":2",
        "\"schemaVersion\":1",
        "schemaVersion",
    );
    check(
        "index instead",
        "oci.image.manifest.v1",
        "oci.image.index.v1",
        "mediaType",
    );
    check(
        "other card",
        "muster.card.v1",
        "muster.card.v2",
        "config.mediaType",
    );
    check(
        "other layer",
        "muster.golden.v1",
        "muster.golden.v9",
        "muster.golden.v9",
    );
    check("other packing", "onnx+zstd", "onnx+gzip", "onnx+gzip");
    check("other algorithm", "sha256:", "sha512:", "no sha256 digest");
    check("empty layer", "\"size\":300", "\"size\":0", "has 0 bytes");
    check("negative size", "\"size\":300", "\"size\":-1", "malformed");
    check(
        "huge card",
        "\"size\":600",
        "\"size\":98305",
        "has 98305 bytes",
    );
    check(
        "huge layer",
        "\"size\":5000",
        "\"size\":301989889",
        "has 301989889 bytes",
    );
    check(
        "huge hash list",
        "\"size\":100",
        "\"size\":98305",
        "has 98305 bytes",
    );
    check(
        "bomb",
        "\"20000\"",
        "\"1073741825\"",
        "has 1073741825 bytes",
    );
    check(
        "no blob size",
        media_blob_size(),
        "vnd.other",
        "lacks digest or size",
    );
    check(
        "no layers",
        "\"layers\"",
        "\"strata\"",
        "missing field `layers`",
    );
}

fn media_blob_size() -> &'static str {
    crate::bundle::media::BLOB_SIZE
}

fn check_layers(defect: &str, change: fn(&mut Vec<Layer>), expect: BadManifest) {
    let mut manifest = sample();
    change(&mut manifest.layers);
    let refused = Manifest::parse(written(&manifest).as_bytes());
    assert_eq!(refused, Err(expect), "{defect}");
}

#[test]
fn a_defect_in_the_layers_is_named() {
    use BadManifest::{HashListPlace, Missing, TooManyLayers, Twice};
    check_layers(
        "no golden",
        |all| {
            all.remove(2);
        },
        Missing(LayerKind::Golden),
    );
    check_layers("no layer", Vec::clear, Missing(LayerKind::Model));
    check_layers(
        "two models",
        |all| all.push(all[0]),
        Twice(LayerKind::Model),
    );
    check_layers("nine", |all| all.extend([all[0]; 5]), TooManyLayers);
    check_layers("list first", |all| all.rotate_right(1), HashListPlace);
    let packed = |all: &mut Vec<Layer>| all[3].compression = Compression::Zstd;
    check_layers("list packed", packed, HashListPlace);
}

#[test]
fn too_many_bytes_are_not_read() {
    let bytes = alloc::vec![b' '; WHOLE_BYTES_MAX as usize + 1];
    assert_eq!(Manifest::parse(&bytes), Err(BadManifest::TooLarge));
}

#[test]
fn a_plan_fetches_the_proof_first_and_counts_both_forms() {
    let plan = sample().plan();
    let sizes: Vec<u64> = plan
        .fetch
        .iter()
        .map(|fetch| fetch.descriptor.size)
        .collect();
    assert_eq!(sizes, [100, 600, 5_000, 300, 400]);
    assert_eq!(plan.fetch[1].how, How::Whole);
    assert_eq!(plan.fetch[2].how, How::Pieces);
    assert_eq!(plan.disk_bytes, 600 + 5_000 + 20_000 + 300 + 400 + 100);
}

fn check_list(change: fn(&mut Vec<LayerHashes<'_>>), expect: Result<(), Misfit>) {
    let manifest = sample();
    let hashes = [0; 64];
    let listed = manifest
        .layers
        .iter()
        .filter(|layer| layer.kind != LayerKind::HashList);
    let mut layers: Vec<LayerHashes<'_>> = listed
        .map(|layer| LayerHashes {
            digest: layer.digest,
            size: layer.size,
            pieces: &hashes[..layer.size.div_ceil(4096) as usize * 32],
        })
        .collect();
    change(&mut layers);
    let list = HashList {
        piece_size: 4096,
        layers: List::of(&layers),
    };
    assert_eq!(manifest.check_hash_list(&list), expect);
}

#[test]
fn mixed_bundles_are_refused_since_a_hash_list_fits_one_manifest() {
    check_list(|_| {}, Ok(()));
    check_list(
        |all| {
            all.remove(0);
        },
        Err(Misfit::Layer(LayerKind::Model)),
    );
    check_list(
        |all| all[1].size = 301,
        Err(Misfit::Layer(LayerKind::Reference)),
    );
    check_list(
        |all| all[2].digest.0[0] ^= 1,
        Err(Misfit::Layer(LayerKind::Golden)),
    );
    check_list(|all| all.push(all[0]), Err(Misfit::Surplus));
    check_list(
        |all| all[0].size = 4_000,
        Err(Misfit::List(BadHashList::PieceCount)),
    );
}
