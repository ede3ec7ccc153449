//! What a bundle is made of: manifest, hash list, card, golden vectors, reference.
//!
//! Never a layer's content: that is the runtime's.

use super::messages::round_trip;
use muster_protocol::bundle::{Card, Golden, HashList, Manifest, Reference};
use muster_protocol::id::{ModelId, Version};
use muster_protocol::stats::FeatureFold;

/// The first byte says which document the others are.
pub fn bundle(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind % 6 {
        0 => drop(manifest(bytes)),
        1 => hash_list(bytes),
        2 => card(bytes),
        3 => golden(bytes),
        4 => reference(bytes),
        _ => manifest_and_hash_list(bytes),
    }
}

fn manifest(bytes: &[u8]) -> Option<Manifest> {
    let manifest = Manifest::parse(bytes).ok()?;
    let (model, version) = (ModelId::parse("bearing"), Version::parse("1.0.0"));
    let written = manifest.to_json(
        &model.expect("a valid name"),
        &version.expect("a valid name"),
    );
    assert_eq!(Manifest::parse(&written).as_ref(), Ok(&manifest));
    let plan = manifest.plan();
    assert_eq!(plan.fetch.len(), manifest.layers.len() + 1);
    assert!(plan.disk_bytes >= manifest.card.size);
    Some(manifest)
}

fn hash_list(bytes: &[u8]) {
    let Some(list) = round_trip!(HashList<'_>, bytes) else {
        return;
    };
    if list.check().is_err() {
        return;
    }
    for layer in list.layers.iter() {
        let lengths = (0..layer.len()).map(|index| layer.piece_len(index, list.piece_size));
        let total: u64 = lengths.map(|len| u64::from(len.expect("in range"))).sum();
        assert_eq!(total, layer.size, "pieces and layer");
        assert!(layer.piece(layer.len()).is_none());
        assert!(list.layer(&layer.digest).is_some());
    }
}

fn card(bytes: &[u8]) {
    let Ok(card) = Card::parse(bytes) else {
        return;
    };
    // A card with many escapes may be longer as we write it.
    if let Ok(written) = card.to_json() {
        assert_eq!(Card::parse(&written), Ok(card));
    }
}

fn golden(bytes: &[u8]) {
    if let Ok(golden) = Golden::<u64>::from_cbor(bytes) {
        let written = golden.to_cbor();
        let again = Golden::<u64>::from_cbor(&written).expect("its own writing is read");
        assert_eq!(again, golden);
    }
}

fn reference(bytes: &[u8]) {
    let Some(reference) = round_trip!(Reference<'_>, bytes) else {
        return;
    };
    for feature in reference.features.iter() {
        let Ok(scale) = feature.scale() else { continue };
        let mut fold = FeatureFold::new(scale);
        let values = [
            0.0,
            -0.0,
            1.5,
            f32::MAX,
            f32::MIN,
            f32::MIN_POSITIVE,
            f32::NAN,
        ];
        let edges = feature.edges.iter().map(f32::from_bits);
        values
            .into_iter()
            .chain(edges)
            .for_each(|x| fold.fold(Some(x)));
        fold.fold(None);
        let counts = fold.counts();
        assert_eq!(counts.n(), 6 + feature.edges.len() as u64);
        assert_eq!((counts.missing, counts.non_finite), (1, 1));
    }
}

/// Both in one input, the hash list behind the first zero byte.
fn manifest_and_hash_list(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (Some(json), Some(cbor)) = (parts.next(), parts.next()) else {
        return;
    };
    let list = muster_protocol::cbor::decode::<HashList<'_>>(cbor);
    if let (Some(manifest), Ok(list)) = (manifest(json), list) {
        let fits = manifest.check_hash_list(&list).is_ok();
        assert!(!fits || list.check().is_ok());
        assert!(!fits || list.layers.len() + 1 == manifest.layers.len());
    }
}
