//! Two versions that take turns under load: what it costs those who ask.
//! The client is a plain one: one connection, one row after the other, nothing asked twice.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};

use super::{
    inference::{Form, Inference},
    interrupt::Interrupt,
    overhead::Quantiles,
    stage::{Interrupted, Stage},
    subject::{Subject, VERSIONS},
    table::Rows,
};
use crate::clock;

const SWAP_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What one client has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    trips_us: Vec<u64>,
    by_version: BTreeMap<String, u64>,
    failed: u64,
    first_failure: Option<String>,
}

/// Swaps versions back and forth while a client asks.
///
/// # Errors
/// A swap does not come to its end, or Ctrl-C.
pub(super) fn measure(
    stage: &mut Stage,
    subject: &Subject,
    form: &Form,
    swaps: u32,
    interrupt: &Interrupt,
) -> anyhow::Result<Seen> {
    let stop = Arc::<AtomicBool>::default();
    let rows = subject.rows(0, form.width)?;
    let (socket, form) = (stage.agents[0].socket.clone(), form.clone());
    let client = {
        let stop = stop.clone();
        thread::spawn(move || ask(socket, &form, &rows, &stop))
    };
    let swapped = (0..swaps).try_for_each(|swap| {
        let version = VERSIONS[(swap as usize + 1) % VERSIONS.len()];
        swap_to(stage, subject, version, interrupt)
    });
    stop.store(true, Ordering::Relaxed);
    let seen = client.join();
    swapped?;
    seen.unwrap_or_else(|_| bail!("the client ended early"))
}

/// Prints what was seen; a failure when a prediction was lost, or nothing was swapped.
pub(super) fn report(seen: Seen, swaps: u32, steady: &Quantiles) -> ExitCode {
    let Seen {
        trips_us,
        by_version,
        failed,
        first_failure,
    } = seen;
    let answered = trips_us.len();
    let Quantiles { p50, p99 } = Quantiles::of(trips_us);
    let ratio = |swapping: u64, steady: u64| swapping as f64 / steady.max(1) as f64;
    println!(
        "while versions change     {p50} us p50, {p99} us p99, {answered} requests, {swaps} swaps"
    );
    println!(
        "ratio to no swaps         {:.1} p50, {:.1} p99",
        ratio(p50, steady.p50),
        ratio(p99, steady.p99)
    );
    println!("failed predictions        {failed}");
    match first_failure {
        Some(failure) => eprintln!("the first of them: {failure}"),
        None if by_version.len() < VERSIONS.len() => {
            eprintln!("not every version has answered: {by_version:?}");
        }
        None => return ExitCode::SUCCESS,
    }
    ExitCode::FAILURE
}

fn swap_to(
    stage: &mut Stage,
    subject: &Subject,
    version: &str,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let model = subject.model.as_str();
    stage.controller.roll_out(model, version, 100)?;
    let deadline = clock::now() + SWAP_MAX;
    while clock::now() < deadline {
        if interrupt.is_raised() {
            return Err(Interrupted.into());
        }
        let status = stage.agents[0].status()?;
        let own = status.models.into_iter().find(|own| own.model == model);
        let active = own.context("the device has lost its model")?.active;
        if active.is_some_and(|slot| slot.version == version && slot.committed) {
            return Ok(());
        }
        interrupt.rest(LOOK_EVERY);
    }
    bail!("failed to see {version} serve for good: because it did not happen within {SWAP_MAX:?}")
}

fn ask(socket: PathBuf, form: &Form, rows: &Rows, stop: &AtomicBool) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let mut inference = Inference::connect(&socket, form)?;
    for row in rows.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let begun = clock::now();
        match inference.predict(row) {
            Ok(answer) => {
                let took = (clock::now() - begun).as_micros();
                seen.trips_us.push(u64::try_from(took)?);
                *seen.by_version.entry(answer.version).or_default() += 1;
            }
            Err(error) => {
                seen.failed += 1;
                seen.first_failure.get_or_insert(format!("{error:#}"));
                inference = Inference::connect(&socket, form)?;
            }
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_prediction_or_a_version_that_never_answers_is_a_failure() {
        fn check(failed: u64, versions: &[&str], expect: ExitCode) {
            let seen = Seen {
                trips_us: vec![1, 2, 3],
                by_version: versions.iter().map(|&v| (v.to_owned(), 1)).collect(),
                failed,
                first_failure: (failed > 0).then(|| "503".to_owned()),
            };
            let steady = Quantiles::of(vec![1]);
            let got = report(seen, 1, &steady);
            assert_eq!(format!("{got:?}"), format!("{expect:?}"), "{versions:?}");
        }
        check(0, &VERSIONS, ExitCode::SUCCESS);
        check(1, &VERSIONS, ExitCode::FAILURE);
        check(0, &VERSIONS[..1], ExitCode::FAILURE);
    }
}
