//! The card of what is being built.
//!
//! Never a time, a place or a name of a person: the same inputs give the same card.

use muster_protocol::bundle::Card;
use muster_protocol::bundle::card::{About, CardGolden, FORMAT, GoldenSource, Runtime};

use super::super::agent::Checked;
use super::super::golden::Golden;
use super::BuildArgs;

/// Measured peaks differ a little from run to run: they are rounded up to a multiple of this.
const PEAK_STEP_BYTES: u64 = 4 << 20;

pub(super) fn of(
    args: &BuildArgs,
    checked: &Checked,
    golden: &Golden,
    source: GoldenSource,
    features: Vec<String>,
    about: Option<About>,
) -> Card {
    let measured = checked.planned_peak_bytes.next_multiple_of(PEAK_STEP_BYTES);
    Card {
        format: FORMAT,
        model: args.id.clone(),
        version: args.version.clone(),
        class: args.class.clone(),
        runtime: Runtime::Onnx,
        operators: checked.operators.clone(),
        inputs: checked.signature.inputs.clone(),
        outputs: checked.signature.outputs.clone(),
        features,
        golden: CardGolden {
            source,
            vectors: golden.vectors.len() as u32,
            rtol: golden.rtol,
            atol: golden.atol,
        },
        planned_peak_bytes: args.planned_peak_mib.map_or(measured, |mib| mib << 20),
        latency_us_max: args.latency_ms_max.map(|ms| u64::from(ms) * 1000),
        about,
        created_by: concat!("muster ", env!("CARGO_PKG_VERSION")).into(),
    }
}
