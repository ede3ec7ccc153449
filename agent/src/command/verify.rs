//! `muster-agent verify`: everything that a slot needs, checked again from the disk.
//!
//! Needs neither network nor running agent, and changes nothing.

use super::{Output, StateArgs};
use crate::error::Failure;
use crate::store::Store;
use crate::store::blobs::verify_file;
use muster_device::updater::Release;
use muster_protocol::bundle::manifest::{LayerKind, Manifest};
use muster_protocol::cose::{self, KeySet, scratch_len};
use muster_protocol::id::ModelId;
use muster_protocol::key::PublicKey;
use muster_protocol::message::{Statement, statement_name};
use muster_protocol::tuf::{Role, Trusted};
use serde_json::json;

/// Verifies metadata, statements and every blob of every slot.
///
/// # Errors
/// The first thing that does not verify.
pub fn run(args: &StateArgs) -> Result<(), Failure> {
    if let Err(error) = std::fs::read_dir(&args.state) {
        return Err(Failure::file("read", &args.state, error));
    }
    let store = Store::open_shared(&args.state)?;
    let state = store.read_state()?;
    let trusted = store.read_trusted()?;
    let mut slots = Vec::new();
    for model in &state.models {
        let named = [("active", &model.active), ("previous", &model.previous)];
        for (name, slot) in named
            .into_iter()
            .filter_map(|(n, s)| Some((n, s.as_ref()?)))
        {
            let bytes = slot_verifies(&store, &trusted, &model.model, &slot.release).map_err(
                |because| Failure::Verification(format!("{} {name}: {because}", model.model)),
            )?;
            slots.push((model.model.clone(), name, slot.release.clone(), bytes));
        }
    }
    match args.output {
        Output::Json => {
            let slots: Vec<_> = slots
                .iter()
                .map(|(model, slot, release, bytes)| {
                    json!({"model": model.as_str(), "slot": slot,
                        "version": release.version.as_str(),
                        "bundle": release.bundle.to_string(), "bytes": bytes})
                })
                .collect();
            crate::print::data(&format!(
                "{:#}\n",
                json!({"root": trusted.root().version(), "slots": slots})
            ));
        }
        Output::Text => {
            crate::print::data(&format!(
                "root        version {} verifies\n",
                trusted.root().version()
            ));
            for (model, slot, release, bytes) in &slots {
                crate::print::data(&format!(
                    "{slot:<11} {model} {} verifies: {bytes} bytes\n",
                    release.version
                ));
            }
        }
    }
    Ok(())
}

fn slot_verifies(
    store: &Store,
    trusted: &Trusted,
    model: &ModelId,
    release: &Release,
) -> Result<u64, String> {
    statement_verifies(store, trusted, model, release)?;
    let manifest = document(store, &release.bundle, "manifest")?;
    let manifest = Manifest::parse(&manifest).map_err(|error| error.to_string())?;
    document(store, &manifest.card.digest, "card")?;
    let mut bytes = manifest.card.size;
    for layer in &manifest.layers {
        if layer.kind == LayerKind::HashList {
            document(store, &layer.digest, "hash list")?;
            continue;
        }
        let path = store.blob_path(&layer.blob_digest);
        match verify_file(&path, &layer.blob_digest, layer.blob_size) {
            Ok(true) => bytes += layer.blob_size,
            Ok(false) => return Err(format!("{:?} {} is damaged", layer.kind, layer.blob_digest)),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(bytes)
}

/// The statement is the one that was accepted, signed by keys that release this model now.
fn statement_verifies(
    store: &Store,
    trusted: &Trusted,
    model: &ModelId,
    release: &Release,
) -> Result<(), String> {
    let bytes = document(store, &release.statement, "statement")?;
    let role = Role::of_model(model.as_str());
    let authority = trusted
        .delegated_to(&role)
        .ok_or("metadata names no release keys")?;
    let keys: Vec<_> = authority.public_keys().into_iter().map(PublicKey).collect();
    let threshold = u8::try_from(authority.threshold()).unwrap_or(u8::MAX);
    let mut scratch = vec![0; scratch_len(bytes.len())];
    let keys = KeySet {
        keys: &keys,
        threshold,
    };
    let statement = cose::open::<Statement>(&bytes, keys, &mut scratch)
        .map_err(|refused| format!("statement: {refused}"))?;
    let name = statement_name(&statement.model, &statement.version);
    if statement.model == *model && statement.bundle == release.bundle {
        Ok(())
    } else {
        Err(format!("the statement is {name}, for another bundle"))
    }
}

fn document(
    store: &Store,
    digest: &muster_protocol::digest::Digest,
    what: &str,
) -> Result<Vec<u8>, String> {
    let bytes = store.document(digest).map_err(|error| error.to_string())?;
    bytes.ok_or(format!("its {what} {digest} is missing or damaged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_cannot_be_verified_is_one_sentence_with_one_hint() {
        fn check(put: Option<(&str, &[u8])>, expect: (u8, &str)) {
            let folder = tempfile::tempdir().expect("a folder");
            let state = folder.path().join("state");
            if let Some((name, bytes)) = put {
                let path = state.join(name);
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
                std::fs::write(path, bytes).expect("written");
            }
            let args = StateArgs {
                state,
                config: None,
                output: Output::Json,
            };
            let failure = run(&args).expect_err("does not verify");
            let said = failure.to_string();
            assert_eq!(failure.exit_code(), expect.0, "{said}");
            assert!(said.contains(expect.1), "{said}");
            let count = |part: &str| said.matches(part).count();
            assert_eq!((count("failed to "), count("hint: ")), (1, 1), "{said}");
        }
        check(None, (7, "state"));
        check(Some(("other", b"")), (6, "`muster-agent enroll`"));
        check(Some(("metadata/root.json", b"{")), (4, "trusted root"));
        check(Some(("state.cbor", b"\xff")), (4, "state.cbor"));
    }
}
