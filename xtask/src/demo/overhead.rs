//! `cargo xtask bench serve`: what the local server adds to the bare call of the runtime, and what
//! swaps add to that. One device, one client, one row a request; all figures from the same run.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::Context as _;

use super::{
    Args,
    agent::Probation,
    folder::Folder,
    inference::{Form, Inference},
    interrupt::Interrupt,
    stage::Stage,
    subject::{Subject, VERSIONS},
    swapping,
};
use crate::clock;

const WITHIN: Duration = Duration::from_secs(120);
const WARM_UP: usize = 200;
const REQUESTS: usize = 5_000;

/// Measures, and prints ratios. It fails when a swap has cost a prediction.
///
/// # Errors
/// A program does not start, or a prediction without swaps fails.
pub(crate) fn run(root: &Path, swaps: u32) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::on_signals().context("failed to listen for Ctrl-C")?;
    let args = Args::default();
    let programs = super::programs(&args, root)?;
    let folder = Folder::new(None)?;
    let subject = Subject::new(&args, root, &folder)?;
    let cast = (1, Probation::Absent);
    let mut stage = Stage::set(&programs, &folder, &subject, cast, &interrupt)?;
    serve(&mut stage, &subject, &folder)?;
    let bare_us = bare_call_us(&mut stage)?;
    let form = Form::ask(&stage.agents[0].socket, subject.model.as_str())?;
    let steady = Quantiles::of(round_trips_us(&stage, &subject, &form)?);
    print_overhead(bare_us, &steady);
    if swaps == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let bundle = folder.join("bundle-2");
    stage
        .controller
        .release(&subject, &subject.releases[1], &bundle)?;
    let seen = swapping::measure(&mut stage, &subject, &form, swaps, &interrupt)?;
    Ok(swapping::report(seen, swaps, &steady))
}

/// Latencies of many requests.
pub(super) struct Quantiles {
    pub(super) p50: u64,
    pub(super) p99: u64,
}

impl Quantiles {
    /// Of at least one.
    pub(super) fn of(mut trips_us: Vec<u64>) -> Self {
        trips_us.sort_unstable();
        let last = trips_us.len().saturating_sub(1);
        let at = |per_cent: usize| trips_us.get(last * per_cent / 100).copied();
        Self {
            p50: at(50).unwrap_or_default(),
            p99: at(99).unwrap_or_default(),
        }
    }
}

fn print_overhead(bare_us: u64, steady: &Quantiles) {
    let Quantiles { p50, p99 } = *steady;
    println!("bare call in the worker   {bare_us} us, median of the golden vectors in its trial");
    println!(
        "through the local server  {p50} us p50, {p99} us p99, {REQUESTS} requests of one row"
    );
    println!(
        "added                     {} us p50",
        p50.saturating_sub(bare_us)
    );
    println!(
        "ratio                     {:.1} p50",
        p50 as f64 / bare_us.max(1) as f64
    );
}

/// Releases the first version and waits until every device serves it.
///
/// # Errors
/// A device gives up, or it takes too long.
pub(super) fn serve(stage: &mut Stage, subject: &Subject, folder: &Folder) -> anyhow::Result<()> {
    let version = VERSIONS[0];
    let bundle = folder.join("bundle");
    stage
        .controller
        .release(subject, &subject.releases[0], &bundle)?;
    stage.watch("the device connected", WITHIN, |views| {
        views.iter().all(|view| view.agent_bytes.is_some())
    })?;
    let model = subject.model.as_str();
    stage.controller.roll_out(model, version, 100)?;
    stage.watch("the model serves", WITHIN, |views| {
        views
            .iter()
            .all(|view| view.serves.as_deref() == Some(version))
    })?;
    Ok(())
}

/// As the device reported it when the candidate became active.
fn bare_call_us(stage: &mut Stage) -> anyhow::Result<u64> {
    let mut found = None;
    for _ in 0..100 {
        let receipts = stage.controller.receipts()?;
        found = receipts
            .iter()
            .find_map(|receipt| receipt.measured.latency_us);
        if found.is_some() {
            break;
        }
        stage.watch("the receipt of the trial", WITHIN, |_| true)?;
    }
    found.context("no receipt says how long the runtime took")
}

fn round_trips_us(stage: &Stage, subject: &Subject, form: &Form) -> anyhow::Result<Vec<u64>> {
    let rows = subject.rows(0, form.width)?;
    let mut inference = Inference::connect(&stage.agents[0].socket, form)?;
    let mut trips = Vec::with_capacity(REQUESTS);
    for row in rows.iter().cycle().take(WARM_UP + REQUESTS) {
        let begun = clock::now();
        inference.predict(row)?;
        trips.push(u64::try_from((clock::now() - begun).as_micros())?);
    }
    Ok(trips.split_off(WARM_UP))
}
