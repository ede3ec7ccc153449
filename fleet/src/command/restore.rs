//! `muster restore`: a new home from a backup, whose controller tells no device anything before it
//! has heard what the device has.
//!
//! Never touches a home that exists.

use std::path::PathBuf;

use crate::backup::{self, Restored};
use crate::cli::Context;
use crate::clock;
use crate::error::{Exit, OperatorError};
use crate::home::Home;
use crate::output::note;
use crate::replace;

/// Where from; `--home` says where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file that `muster backup` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The controller was stolen: replace every key that it held, by the word of the offline keys.
    #[arg(long)]
    stolen: bool,
    #[command(flatten)]
    with: replace::With,
}

/// Runs it.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), OperatorError> {
    let (folder, now) = (context.home.clone(), clock::now());
    let runtime = tokio::runtime::Handle::current();
    if !args.stolen && !args.with.is_empty() {
        let because = "--offline, --mqtt, --enroll and --out replace keys";
        let hint = "add --stolen if the controller was stolen, or leave them out";
        return Err(OperatorError::new(
            Exit::Usage,
            "restore the backup",
            because,
            hint,
        ));
    }
    let (stolen, with) = (args.stolen, args.with);
    let advice_of_stolen = with.advice();
    let finish = move |home: &Home| match stolen {
        true => runtime.block_on(replace::stolen(home, &with)),
        false => Ok(()),
    };
    let restored =
        tokio::task::spawn_blocking(move || backup::restore(&args.file, &folder, now, finish));
    let restored = restored.await.map_err(|error| {
        OperatorError::new(Exit::Bug, "restore the backup", error, "report this")
    })??;
    context.output.print(&restored, text);
    note(advice(&restored));
    if stolen {
        note(advice_of_stolen);
    }
    Ok(())
}

fn text(restored: &Restored) -> String {
    let counts = restored.counts;
    format!(
        "restored {}: {} devices (held: {}), {} releases, {} rollouts, {} receipts, {} windows",
        restored.home,
        counts.devices,
        restored.resumed.devices_held,
        counts.releases,
        counts.rollouts,
        counts.receipts,
        counts.windows,
    )
}

fn advice(restored: &Restored) -> String {
    let keys = if restored.offline_keys {
        ""
    } else {
        "\n- Keys: offline/ and release/ were not in the backup. Bring your copies of them before \
         you release."
    };
    format!(
        "\
- One controller: make sure that the old one is off for good. Two that live on cannot be told apart.
- Devices: each is held until it has connected and shown what it accepted (`muster device list`);
  one that cannot show it waits for `muster device release-hold`.
- Releases and metadata that were signed after the backup are gone: run
  `muster release --after-restore` again for the same bundles, first those of models that were new.
  Until then devices keep what they trust, and incidents name what is missing. Root and fleet.json of later versions are published again.
- Devices that enrolled, or enrolled anew, after the backup need a new token; unused tokens ended.{keys}"
    )
}
