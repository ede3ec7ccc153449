//! `muster root rotate`: the next root, with other keys or thresholds for some roles.
//!
//! Decides nothing about who should sign: it does what is named, and refuses what no one could
//! sign any more.

use std::path::PathBuf;
use std::str::FromStr;

use muster_protocol::tuf::{Key, Role, Root};

use super::publish;
use crate::agree;
use crate::cli::Context;
use crate::clock;
use crate::error::{Exit, OperatorError};
use crate::output::note;
use crate::own_metadata::ROOT_DAYS;
use crate::signing::{self, KeyFolder, NewRoot, Proposal, Wanted, public_key};

const WHAT: &str = "rotate root";

/// What changes. What is not named stays; a new root always lives anew.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Let a key sign for a role: root, targets, snapshot or timestamp.
    #[arg(long, value_name = "ROLE=FILE.pub")]
    add: Vec<OfRole<PathBuf>>,
    /// Let a key, named by its id or the beginning of it, sign for a role no longer.
    #[arg(long, value_name = "ROLE=KEYID")]
    remove: Vec<OfRole<KeyId>>,
    /// How many keys of a role must sign.
    #[arg(long, value_name = "ROLE=N")]
    threshold: Vec<OfRole<u32>>,
    /// Days that the new root is valid.
    #[arg(long, default_value_t = ROOT_DAYS, value_parser = clap::value_parser!(u64).range(1..=36_500))]
    days: u64,
    /// Write a proposal for its signers, instead of signing with the home's offline keys at once.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Sign without asking.
    #[arg(long, conflicts_with = "out")]
    yes: bool,
}

/// `ROLE=VALUE`.
#[derive(Debug, Clone)]
struct OfRole<T> {
    role: Role,
    value: T,
}

/// The id of a key as metadata has it, or at least eight digits of its beginning.
#[derive(Debug, Clone)]
struct KeyId(String);

/// Runs it.
///
/// # Errors
/// The sentence for the operator.
pub(super) async fn run(args: Args, context: &Context) -> Result<(), OperatorError> {
    let base = signing::gather(&context.client()?, WHAT, None).await?;
    let ground = base
        .verified(None)
        .map_err(|error| signing::told(WHAT, &error.into()))?;
    let now = clock::now();
    let mut next = ground.root.clone();
    next.header.version = next.header.version.saturating_add(1);
    next.header.expires_s = now.plus_days(args.days).0;
    changed(&mut next, &args)?;
    let wanted = NewRoot {
        root: serde_json::to_value(&next).expect("invariant: a root is plain JSON"),
        proposed_at_s: now.0,
    };
    let proposal = Proposal::new(Wanted::Root(wanted), base);
    match &args.out {
        Some(path) => signing::propose(&proposal, path, WHAT, context),
        None => at_once(proposal, args.yes, context).await,
    }
}

/// One person who holds every key that is needed.
async fn at_once(
    mut proposal: Proposal,
    yes: bool,
    context: &Context,
) -> Result<(), OperatorError> {
    note(signing::shown(&proposal, WHAT)?);
    if !yes {
        agree::to_sign(WHAT)?;
    }
    let folder = KeyFolder::at(&context.home()?.offline());
    let state = signing::sign_own(&mut proposal, &folder, WHAT)?;
    let Some(publication) = state.publication(&proposal) else {
        let because = "the offline keys of this home are not enough";
        let hint = "add --out FILE, and carry that to the others who must sign";
        return Err(OperatorError::new(Exit::Refused, WHAT, because, hint));
    };
    let ready = signing::Ready {
        proposal,
        publication,
    };
    publish(&ready, context).await
}

fn changed(root: &mut Root, args: &Args) -> Result<(), OperatorError> {
    for add in &args.add {
        let (mut keys, threshold) = of_role(root, &add.role);
        keys.push(Key::ed25519(public_key::read(&add.value)?));
        root.authorize(&add.role, &keys, threshold);
    }
    for remove in &args.remove {
        let (mut keys, threshold) = of_role(root, &remove.role);
        let before = keys.len();
        keys.retain(|key| !key.id().starts_with(&remove.value.0));
        if before != keys.len() + 1 {
            let (role, id) = (remove.role.name(), &remove.value.0);
            let because = match before == keys.len() {
                true => format!("{role} has no key {id}"),
                false => format!("{role} has several keys that begin with {id}"),
            };
            let hint = "`muster root show` lists them";
            return Err(OperatorError::new(Exit::Missing, WHAT, because, hint));
        }
        root.authorize(&remove.role, &keys, threshold);
    }
    for threshold in &args.threshold {
        let (keys, _) = of_role(root, &threshold.role);
        root.authorize(&threshold.role, &keys, threshold.value);
    }
    let short = root
        .roles
        .iter()
        .find(|(_, keys)| keys.threshold == 0 || keys.threshold as usize > keys.keyids.len());
    let Some((role, keys)) = short else {
        return Ok(());
    };
    let (have, need) = (keys.keyids.len(), keys.threshold);
    let because = format!("{role} would have {have} keys, of which {need} must sign");
    let hint = "name another --threshold for that role, or --add keys to it";
    Err(OperatorError::new(Exit::BadInput, WHAT, because, hint))
}

fn of_role(root: &Root, role: &Role) -> (Vec<Key>, u32) {
    let Some(named) = root.roles.get(role.name()) else {
        return (Vec::new(), 1);
    };
    let keys = named
        .keyids
        .iter()
        .filter_map(|id| root.keys.get(id).cloned());
    (keys.collect(), named.threshold)
}

impl<T: FromStr> FromStr for OfRole<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (role, value) = text.split_once('=').ok_or("it is not ROLE=VALUE")?;
        let known = Role::TOP_LEVEL
            .into_iter()
            .find(|known| known.name() == role);
        let role = known.ok_or("the roles are root, targets, snapshot and timestamp")?;
        let value = value
            .parse()
            .map_err(|_| format!("{value:?} is not understood"))?;
        Ok(Self { role, value })
    }
}

impl FromStr for KeyId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let long = (8..=64).contains(&text.len());
        match long && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => Ok(Self(text.to_owned())),
            false => Err(()),
        }
    }
}
