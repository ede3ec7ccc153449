//! `muster keys`: signing keys in a folder of their own, each under a passphrase.
//!
//! Never prints a private key, and never sends one anywhere.

use std::path::PathBuf;

use clap::Subcommand;
use muster_protocol::tuf::Key;
use serde::Serialize;

use crate::cli::Context;
use crate::error::{Exit, OperatorError};
use crate::key_file::{self, LockState, Passphrase};
use crate::output::{self, Table, note};
use crate::signing::{KeyName, KeysArgs, Named, public_key};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key: NAME.key under a passphrase, and NAME.pub to give away.
    Create {
        /// What the key is called.
        name: KeyName,
        #[command(flatten)]
        keys: KeysArgs,
        /// Keep the key open: whoever reads the file can sign.
        #[arg(long)]
        no_passphrase: bool,
    },
    /// List the keys of a folder.
    List {
        #[command(flatten)]
        keys: KeysArgs,
    },
    /// Print the public half of a key, as it is given to whoever proposes.
    Export {
        /// What the key is called.
        name: KeyName,
        #[command(flatten)]
        keys: KeysArgs,
    },
    /// Put a key that lies open under a passphrase, such as offline/root.key of a home.
    Lock {
        /// The file of the private key.
        file: PathBuf,
    },
}

/// A key for people and scripts.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    id: String,
    private: Option<LockState>,
}

/// Runs it.
///
/// # Errors
/// The sentence for the operator.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), OperatorError> {
    match command {
        Command::Create {
            name,
            keys,
            no_passphrase,
        } => create(&name, &keys, no_passphrase, context),
        Command::List { keys } => {
            let shown: Vec<Shown> = keys.folder().keys()?.iter().map(shown).collect();
            context.output.print(&shown, |shown| table(shown));
            Ok(())
        }
        Command::Export { name, keys } => export(&name, &keys),
        Command::Lock { file } => {
            key_file::lock(&file)?;
            note(format_args!(
                "{} opens with its passphrase from now on",
                file.display()
            ));
            Ok(())
        }
    }
}

fn create(
    name: &KeyName,
    keys: &KeysArgs,
    no_passphrase: bool,
    context: &Context,
) -> Result<(), OperatorError> {
    let folder = keys.folder();
    let passphrase = match no_passphrase {
        true => None,
        false => Some(Passphrase::choose(
            &folder.private(name).display().to_string(),
        )?),
    };
    let key = folder.create(name, passphrase.as_ref())?;
    let shown = Shown {
        name: name.to_string(),
        id: key.id(),
        private: Some(match passphrase {
            Some(_) => LockState::Locked,
            None => LockState::Open,
        }),
    };
    let public = folder.public(name).display().to_string();
    context.output.print(&shown, |shown| {
        format!(
            "{}\nGive {public} away, and keep the other file and a copy of it.",
            shown.id
        )
    });
    Ok(())
}

fn export(name: &KeyName, keys: &KeysArgs) -> Result<(), OperatorError> {
    let mut all = keys.folder().keys()?.into_iter();
    let named = all.find(|named| named.name == *name).ok_or_else(|| {
        let hint = "`muster keys list` shows what is here";
        let what = format!("export the key {name}");
        OperatorError::new(Exit::Missing, what, "there is no such key", hint)
    })?;
    output::print_line(&public_key::text(&Key::ed25519(named.public)));
    Ok(())
}

fn shown(named: &Named) -> Shown {
    Shown {
        name: named.name.to_string(),
        id: Key::ed25519(named.public).id(),
        private: named.private,
    }
}

fn table(shown: &[Shown]) -> String {
    let mut table = Table::new(&["name", "id", "private key"]);
    for key in shown {
        let private = match key.private {
            Some(LockState::Locked) => "locked",
            Some(LockState::Open) => "open: lock it with `muster keys lock`",
            None => "elsewhere",
        };
        table.row([key.name.as_str(), key.id.as_str(), private]);
    }
    table.to_string()
}
