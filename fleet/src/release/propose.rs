//! `muster release propose`: a bundle and what it builds on, in one file for its signers.
//!
//! Signs nothing, and needs no key.

use std::path::PathBuf;

use muster_protocol::bundle::Manifest;
use muster_protocol::digest::{Digest, Hex};
use muster_protocol::id::Rank;
use muster_protocol::tuf::{Key, Role};

use super::{bundle_at, plan, sign};
use crate::bundle::{Layout, Verified};
use crate::cli::Context;
use crate::client::Client;
use crate::clock;
use crate::error::{Exit, OperatorError};
use crate::own_metadata;
use crate::signing::{self, LastBundle, NewRelease, Proposal, Signers, Wanted, public_key};

/// What is proposed.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Folder of the bundle.
    folder: PathBuf,
    /// The file to write [default: MODEL-VERSION.proposal].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A public key that signs for the model from now on: of a new model, or to change who does.
    #[arg(long = "signer", value_name = "FILE.pub", requires = "threshold")]
    signers: Vec<PathBuf>,
    /// How many of the signers must sign.
    #[arg(long, value_name = "N", requires = "signers", value_parser = clap::value_parser!(u32).range(1..=32))]
    threshold: Option<u32>,
    /// The controller was restored from a backup: let its versions jump.
    #[arg(long)]
    after_restore: bool,
}

/// Runs it.
///
/// # Errors
/// The sentence for the operator.
pub(super) async fn run(args: Args, context: &Context) -> Result<(), OperatorError> {
    let (layout, verified) = bundle_at(&args.folder)?;
    let (model, version) = (&verified.card.model, &verified.card.version);
    let what = format!("propose {model} {version}");
    let client = context.client()?;
    let role = Role::of_model(model.as_str());
    let base = signing::gather(&client, &what, Some(&role)).await?;
    let ground = base.verified(Some(&role)).map_err(|error| {
        let hint = "look into the log of `muster serve`, and who changed what it hands out";
        OperatorError::new(Exit::Refused, &what, error, hint)
    })?;
    let version_floor = client.version_floor().await?;
    let before = ground.model.as_ref().unwrap_or(&ground.targets);
    if version_floor > before.header.version.saturating_add(1) {
        own_metadata::agree_to_jump(&what, args.after_restore.into())?;
    }
    let last = ground.model.as_ref().and_then(plan::last);
    let rank = Rank(last.as_ref().map_or(0, |last| last.rank).saturating_add(1));
    let now = clock::now();
    let payload = sign::payload(&verified, rank, now).map_err(|because| bug(&what, &because))?;
    let wanted = NewRelease {
        statement: Hex(&payload).to_string(),
        manifest: document(&layout, &verified, &what, verified.bundle.digest)?,
        card: document(&layout, &verified, &what, verified.manifest.card.digest)?,
        last: match last {
            Some(last) => last_bundle(&client, &last).await?,
            None => None,
        },
        signers: signers(&args)?,
        proposed_at_s: now.0,
        version_floor,
    };
    let out = args
        .out
        .unwrap_or_else(|| format!("{model}-{version}.proposal").into());
    let proposal = Proposal::new(Wanted::Release(wanted), base);
    signing::propose(&proposal, &out, &what, context)
}

/// Whether a proposal releases this bundle.
pub(super) fn is_of(proposal: &Proposal, bundle: &Verified) -> bool {
    match &proposal.wanted {
        Wanted::Release(release) => Digest::of(release.manifest.as_bytes()) == bundle.bundle.digest,
        Wanted::Fleet(_) | Wanted::Root(_) | Wanted::Controller(_) => false,
    }
}

fn signers(args: &Args) -> Result<Option<Signers>, OperatorError> {
    let Some(threshold) = args.threshold else {
        return Ok(None);
    };
    let keys = args.signers.iter().map(|path| public_key::read(path));
    let keys: Result<Vec<[u8; 32]>, OperatorError> = keys.collect();
    Ok(Some(Signers {
        keys: keys?.into_iter().map(Key::ed25519).collect(),
        threshold,
    }))
}

/// A document of the bundle, as text.
fn document(
    layout: &Layout,
    verified: &Verified,
    what: &str,
    digest: Digest,
) -> Result<String, OperatorError> {
    let descriptor = match digest == verified.bundle.digest {
        true => verified.bundle,
        false => verified.manifest.card,
    };
    let bytes = layout
        .blob(&descriptor)
        .map_err(|broken| bug(what, &broken))?;
    String::from_utf8(bytes).map_err(|error| bug(what, &error))
}

/// The bundle of the last release, for people to compare; none if the controller lost it.
async fn last_bundle(
    client: &Client,
    last: &plan::Last,
) -> Result<Option<LastBundle>, OperatorError> {
    let Ok(digest) = Digest::parse(&last.bundle) else {
        return Ok(None);
    };
    let Some(manifest) = client.blob(&digest).await? else {
        return Ok(None);
    };
    let Ok(parsed) = Manifest::parse(&manifest) else {
        return Ok(None);
    };
    let Some(card) = client.blob(&parsed.card.digest).await? else {
        return Ok(None);
    };
    let texts = String::from_utf8(manifest)
        .ok()
        .zip(String::from_utf8(card).ok());
    Ok(texts.map(|(manifest, card)| LastBundle { manifest, card }))
}

fn bug(what: &str, because: &dyn std::fmt::Display) -> OperatorError {
    let hint = "leave the folder alone while it is proposed; otherwise report it";
    OperatorError::new(Exit::BadInput, what, because, hint)
}
