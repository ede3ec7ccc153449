//! `sign` of releases, roots and `fleet.json`: shows what is proposed, asks, signs with the keys of
//! a folder, and says what is still missing. It needs no controller and no network.
//!
//! Nothing is signed that does not follow from metadata which the signer trusts.

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use muster_protocol::digest::{Digest, Hex};

use super::folder::{KeyFolder, KeyName, Named};
use super::memory::{Doubt, Earlier, Memory};
use super::proposal::Proposal;
use super::show;
use super::state::{State, Unsound};
use super::wanted::Unfit;
use crate::agree;
use crate::cli::Context;
use crate::error::{Exit, OperatorError};
use crate::output::note;
use crate::publish::Publication;

/// Where a signer's keys are.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KeysArgs {
    /// The signer's folder of keys.
    #[arg(
        long,
        value_name = "FOLDER",
        env = "MUSTER_KEYS",
        default_value = "./muster-keys"
    )]
    keys: PathBuf,
}

impl KeysArgs {
    /// The folder.
    pub(crate) fn folder(&self) -> KeyFolder {
        KeyFolder::at(&self.keys)
    }
}

/// What is signed, and with what.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SignArgs {
    /// The proposal; signatures are added to this file.
    proposal: PathBuf,
    #[command(flatten)]
    keys: KeysArgs,
    /// Sign with this key alone [default: every key of the folder that has a say].
    #[arg(long, value_name = "NAME")]
    key: Option<KeyName>,
    /// The sha256 of the fleet's first root, as `muster init` told it: needed once in a folder.
    #[arg(long, value_name = "SHA256", value_parser = digest)]
    trust_root: Option<Digest>,
    /// What was signed here before under the same version was given up.
    #[arg(long)]
    given_up: bool,
    /// Sign without asking.
    #[arg(long)]
    yes: bool,
}

/// A proposal that can be published.
#[derive(Debug)]
pub(crate) struct Ready {
    /// It.
    pub(crate) proposal: Proposal,
    /// What the controller is given.
    pub(crate) publication: Publication,
}

impl Ready {
    /// The version of the root that it publishes; 0 if it publishes none.
    pub(crate) fn root_version(&self) -> u64 {
        let root = self.proposal.wanted.root();
        root.and_then(|new| new.document().ok())
            .map_or(0, |root| root.header.version)
    }
}

/// What a proposal would change, for people.
///
/// # Errors
/// It does not hold.
pub(crate) fn shown(proposal: &Proposal, what: &str) -> Result<String, OperatorError> {
    let state = sound(proposal, what)?;
    let shown = show::wanted(proposal, &state, &[]).map_err(|unfit| told(what, &unfit))?;
    Ok(format!("{shown}{}", show::documents(&state)))
}

/// Writes a new proposal, after the look at it that every signer takes.
///
/// # Errors
/// The sentence for the operator.
pub(crate) fn propose(
    proposal: &Proposal,
    path: &Path,
    what: &str,
    context: &Context,
) -> Result<(), OperatorError> {
    note(shown(proposal, what)?);
    let state = sound(proposal, what)?;
    proposal.write_new(path)?;
    note(format_args!("wrote {}", path.display()));
    let progress = show::progress(proposal, &state, &[]);
    context.output.print(&progress, show::text);
    Ok(())
}

/// Signs a proposal of `kind`.
///
/// # Errors
/// The sentence for the operator.
pub(crate) fn sign(kind: &str, args: &SignArgs, context: &Context) -> Result<(), OperatorError> {
    let what = format!("sign {}", args.proposal.display());
    let folder = args.keys.folder();
    let known = folder.keys()?;
    let mut proposal = read(kind, &args.proposal, &what)?;
    let mut state = sound(&proposal, &what)?;
    let mut memory = Memory::read(&folder)?;
    trust(args, &state, &mut memory, &what)?;
    let earlier = if args.given_up {
        Earlier::GivenUp
    } else {
        Earlier::Counts
    };
    memory
        .check(&state, earlier)
        .map_err(|doubt| doubt.told(&what))?;
    let shown = show::wanted(&proposal, &state, &known);
    note(shown.map_err(|unfit| told(&what, &unfit))?);
    note(show::documents(&state));
    let mine = mine(args, &known, &state, &what)?;
    if !mine.is_empty() && !args.yes {
        agree::to_sign(&what)?;
    }
    for named in mine {
        let key = open(&folder, &named)?;
        while let Some(signed) = state.wants(&named.public) {
            // What may get out is remembered first.
            memory.remember(&state, &signed.part.content);
            memory.write(&folder)?;
            proposal.add(&signed.part.content.name(), &signed.sign(&key));
            state = sound(&proposal, &what)?;
        }
    }
    proposal.replace(&args.proposal)?;
    let progress = show::progress(&proposal, &state, &known);
    context.output.print(&progress, show::text);
    Ok(())
}

/// Signs a proposal that was made a moment ago with every key of a folder that has a say.
///
/// # Errors
/// The sentence for the operator; not that signatures are missing afterwards.
pub(crate) fn sign_own(
    proposal: &mut Proposal,
    folder: &KeyFolder,
    what: &str,
) -> Result<State, OperatorError> {
    let mut state = sound(proposal, what)?;
    for named in folder
        .keys()?
        .iter()
        .filter(|named| named.private.is_some())
    {
        if state.wants(&named.public).is_none() {
            continue;
        }
        let key = open(folder, named)?;
        while let Some(signed) = state.wants(&named.public) {
            proposal.add(&signed.part.content.name(), &signed.sign(&key));
            state = sound(proposal, what)?;
        }
    }
    Ok(state)
}

/// Reads a proposal of `kind` that nothing is missing from.
///
/// # Errors
/// The sentence for the operator.
pub(crate) fn ready(kind: &str, path: &Path) -> Result<Ready, OperatorError> {
    let what = format!("publish {}", path.display());
    let proposal = read(kind, path, &what)?;
    let state = sound(&proposal, &what)?;
    match state.publication(&proposal) {
        Some(publication) => Ok(Ready {
            proposal,
            publication,
        }),
        None => {
            let progress = show::progress(&proposal, &state, &[]);
            note(show::text(&progress));
            let hint = format!("`muster {kind} sign` by those who may still sign");
            Err(OperatorError::new(
                Exit::Refused,
                what,
                "signatures are missing",
                hint,
            ))
        }
    }
}

fn read(kind: &str, path: &Path, what: &str) -> Result<Proposal, OperatorError> {
    let proposal = Proposal::read(path)?;
    let is = proposal.wanted.command();
    if is == kind {
        return Ok(proposal);
    }
    let because = format!("it proposes a {is}, not a {kind}");
    let hint = format!("`muster {is}` deals with it, if that is what you mean");
    Err(OperatorError::new(Exit::Usage, what, because, hint))
}

fn sound(proposal: &Proposal, what: &str) -> Result<State, OperatorError> {
    State::of(proposal).map_err(|unsound| match &unsound {
        Unsound::Unfit(unfit) => told(what, unfit),
        Unsound::Changed { .. } | Unsound::Unreadable(_) | Unsound::Stranger { .. } => {
            let hint = "sign nothing: ask those who signed before what they signed, and begin anew";
            OperatorError::new(Exit::Refused, what, &unsound, hint)
        }
    })
}

/// The sentence for the operator.
pub(crate) fn told(what: &str, unfit: &Unfit) -> OperatorError {
    let (exit, hint) = match unfit {
        Unfit::Released(_)
        | Unfit::Rank { .. }
        | Unfit::RootVersion { .. }
        | Unfit::FleetGoesBack => (
            Exit::Missing,
            "something was published meanwhile: propose it anew",
        ),
        Unfit::NoSigners(_) => (Exit::BadInput, "propose it with --signer and --threshold"),
        Unfit::Threshold => (
            Exit::BadInput,
            "lower --threshold, or name more keys with --signer",
        ),
        _ => (
            Exit::Refused,
            "sign nothing until it is known who made this file, and from what",
        ),
    };
    OperatorError::new(exit, what, unfit, hint)
}

/// Takes the root that a person compared.
fn trust(
    args: &SignArgs,
    state: &State,
    memory: &mut Memory,
    what: &str,
) -> Result<(), OperatorError> {
    let Some(told) = args.trust_root else {
        return Ok(());
    };
    let first = state.ground.first_root;
    if told.0 == first.0 {
        memory.trust(first);
        return Ok(());
    }
    let because = format!(
        "its first root has the sha256 {first}, not {}",
        Hex(&told.0)
    );
    let hint = "it is of another fleet, or somebody replaced the root: sign nothing";
    Err(OperatorError::new(Exit::Refused, what, because, hint))
}

/// The keys that can and should sign something now.
fn mine(
    args: &SignArgs,
    known: &[Named],
    state: &State,
    what: &str,
) -> Result<Vec<Named>, OperatorError> {
    let named = known.iter().filter(|named| {
        let chosen = args.key.as_ref().is_none_or(|key| *key == named.name);
        named.private.is_some() && chosen
    });
    let have_a_say: Vec<&Named> = named
        .filter(|named| state.may_sign(&named.public))
        .collect();
    if have_a_say.is_empty() {
        let hint = "the table above says whose signatures count; name the folder with --keys";
        let because = "no private key of this folder has a say in it";
        return Err(OperatorError::new(Exit::Missing, what, because, hint));
    }
    let wanting = have_a_say.into_iter();
    let wanting = wanting.filter(|named| state.wants(&named.public).is_some());
    Ok(wanting.cloned().collect())
}

fn open(folder: &KeyFolder, named: &Named) -> Result<SigningKey, OperatorError> {
    let key = folder.open(&named.name)?;
    match key.verifying_key().to_bytes() == named.public {
        true => Ok(key),
        false => Err(other_half(folder, named)),
    }
}

fn other_half(folder: &KeyFolder, named: &Named) -> OperatorError {
    let what = format!("sign with {}", folder.private(&named.name).display());
    let because = format!(
        "{} is not its public half",
        folder.public(&named.name).display()
    );
    let hint = "remove the .pub file, or restore both from a copy";
    OperatorError::new(Exit::BadInput, what, because, hint)
}

impl Doubt {
    fn told(&self, what: &str) -> OperatorError {
        let hint = match self {
            Self::UnknownRoot(_) => {
                "compare it with what `muster init` told, then name it with --trust-root"
            }
            Self::OtherRoots(_) | Self::Older { .. } => {
                "somebody hands out old or foreign metadata: sign nothing until it is known who"
            }
            Self::Twice { .. } => {
                "two of one version cannot both be published: add --given-up if the earlier one was given up"
            }
        };
        OperatorError::new(Exit::Refused, what, self, hint)
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse_hex(text.strip_prefix("sha256:").unwrap_or(text))
        .map_err(|_| "it is not the 64 hexadecimal digits of a sha256".to_owned())
}
