//! `cargo xtask drift-real DIR`: real recordings through the real controller and real agents, and
//! whether what is found is what should be. The cases are data in `cases.rs`.

mod case;
mod cases;
mod found;
mod recording;
mod scene;
mod table;

use std::{path::Path, path::PathBuf, process::ExitCode};

use anyhow::Context as _;

use super::interrupt::Interrupt;
use super::stage::Interrupted;
use crate::clock;
use case::Scene;
use recording::Recording;
use scene::{Places, Played, play};

/// What `cargo xtask drift-real` may be told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder of shared data: `datasets` and `trained` lie in it.
    shared: PathBuf,
    /// Write the table into docs/drift-real.md; otherwise it must stand there already.
    #[arg(long)]
    write: bool,
    /// Keep homes, states, bundles and logs in this new folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Use the programs of this folder instead of building them.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// Plays all scenes and prints the table; it fails when something is found that should not be, or
/// not found that should, or found that the table says is not found yet.
///
/// # Errors
/// Signals cannot be heard, a recording is missing, or a program does not do what it should.
pub(crate) fn run(args: &Args, root: &Path) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::on_signals().context("failed to listen for Ctrl-C")?;
    let begun = clock::now();
    let programs = match &args.programs {
        Some(programs) => programs.clone(),
        None => super::programs(&super::Args::default(), root)?,
    };
    let places = Places {
        root,
        shared: &args.shared,
        programs: &programs,
        keep: args.keep.as_deref(),
    };
    match tell(&places, &interrupt) {
        Err(error) if error.is::<Interrupted>() => {
            println!("interrupted; everything has ended");
            Ok(ExitCode::from(super::INTERRUPTED))
        }
        Err(error) => Err(error),
        Ok(told) => {
            let minutes = (clock::now() - begun).as_secs_f64() / 60.0;
            println!("\n{}\n{minutes:.1} minutes", told.lines);
            for wrong in &told.wrong {
                eprintln!("not as written: {wrong}");
            }
            if !told.wrong.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
            table::publish(root, &told.lines, args.write)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What came of all scenes.
#[derive(Default)]
struct Told {
    lines: String,
    wrong: Vec<String>,
}

fn tell(places: &Places<'_>, interrupt: &Interrupt) -> anyhow::Result<Told> {
    let read = |source| Recording::read(places.shared, source);
    let [room, before, machine, market] = cases::sources();
    let recordings = [read(room)?, read(before)?, read(machine)?, read(market)?];
    let mut told = Told::default();
    for (number, scene) in cases::scenes(&recordings).iter().enumerate() {
        let of = |file: &str| {
            let place = cases::sources()
                .iter()
                .position(|source| source.file == file);
            place.map(|place| &recordings[place])
        };
        let played = play(scene, number, places, of, interrupt)?;
        for said in &played.said {
            println!("  {said}");
        }
        println!(
            "every alarm comes out again from {} windows",
            played.windows
        );
        told.take(scene, &played, of);
    }
    Ok(told)
}

impl Told {
    fn take<'r>(
        &mut self,
        scene: &Scene,
        played: &Played,
        recordings: impl Fn(&str) -> Option<&'r Recording>,
    ) {
        for (case, found) in scene.cases.iter().zip(&played.found) {
            let devices = &played.devices;
            if let Some(replayed) = recordings(case.replayed.file) {
                self.lines += &table::lines(case, found, devices, replayed);
            }
            let wrong = case.expected.iter();
            let wrong = wrong.filter(|expected| !expected.is_as_written(found, devices));
            self.wrong
                .extend(wrong.map(|expected| format!("{}: {}", case.done, expected.asked)));
        }
    }
}
