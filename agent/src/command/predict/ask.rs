//! Rows to the running agent, as many at once as it answers quickly.
//!
//! Never so many that one request takes long: other clients wait behind it, and a model that does
//! not answer in time counts as failed.

use super::answer::Answer;
use super::form::Form;
use super::row::Row;
use crate::clock;
use crate::error::Failure;
use crate::local::Local;
use serde_json::{Value, json};
use std::time::Duration;

/// Bytes of one request, unless a single row has more.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Below it, the next request has twice the rows; above the other, half of them.
const QUICK_US: u64 = 100_000;
const SLOW_US: u64 = 500_000;
/// How often a busy agent is asked again, and after how long.
const TRIES_MAX: usize = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// Asks one model.
pub(super) struct Asker {
    local: Local,
    path: String,
    form: Form,
    /// Outputs that are wanted; empty for all.
    outputs: Vec<String>,
    rows_max: usize,
    rows_now: usize,
}

impl Asker {
    /// Asks `model`, at most `rows_max` rows at once.
    ///
    /// # Errors
    /// The model has no such outputs.
    pub(super) fn new(
        local: Local,
        model: &str,
        form: Form,
        outputs: &[String],
        rows_max: usize,
    ) -> Result<Asker, Failure> {
        if let Some(unknown) = outputs.iter().find(|name| !form.outputs.contains(name)) {
            return Err(Failure::Absent(format!(
                "failed to find the output: because model {model:?} has no output {unknown:?}: \
                 hint: its outputs are {}",
                form.outputs.join(", ")
            )));
        }
        Ok(Asker {
            local,
            path: format!("/v2/models/{model}/infer"),
            outputs: outputs.to_vec(),
            rows_max: rows_max.min(form.rows_max()),
            form,
            rows_now: 1,
        })
    }

    /// Whether a request with these rows, which are of equal shapes, can take one more.
    pub(super) fn has_room(&self, rows: &[Row]) -> bool {
        let each = rows.first().map_or(0, Row::size_bytes);
        rows.len() < self.rows_now && rows_of(each) > rows.len()
    }

    /// Asks about rows of equal shapes.
    ///
    /// # Errors
    /// [`Failure::Prediction`] when the model refuses or fails on them; others when it is not there.
    pub(super) async fn ask(&mut self, rows: &[Row]) -> Result<Answer, Failure> {
        let (head, data) = self.request(rows);
        let begun = clock::monotonic_us();
        let prediction = self.patiently(&head, &data).await?;
        self.adapt(clock::monotonic_us().saturating_sub(begun));
        Answer::read(prediction, rows.len()).map_err(|because| Failure::Data {
            what: "the agent's answer".into(),
            because,
            hint: "GET /v2/models/MODEL shows what the model gives",
        })
    }

    /// A queue that is full gets empty; what else is wrong is said at once.
    async fn patiently(
        &mut self,
        head: &Value,
        data: &[u8],
    ) -> Result<crate::local::Prediction, Failure> {
        for _ in 1..TRIES_MAX {
            match self.local.infer(&self.path, head, data).await {
                Err(Failure::Unavailable(_)) => tokio::time::sleep(PAUSE).await,
                done => return done,
            }
        }
        self.local.infer(&self.path, head, data).await
    }

    fn adapt(&mut self, took_us: u64) {
        self.rows_now = match took_us {
            0..QUICK_US => (self.rows_now * 2).min(self.rows_max),
            QUICK_US..SLOW_US => self.rows_now,
            _ => (self.rows_now / 2).max(1),
        };
    }

    fn request(&self, rows: &[Row]) -> (Value, Vec<u8>) {
        let (mut inputs, mut data) = (Vec::new(), Vec::new());
        for (place, input) in self.form.inputs.iter().enumerate() {
            let starts = data.len();
            for row in rows {
                data.extend_from_slice(&row.cells[place].bytes);
            }
            let shape = rows.first().map_or(&[][..], |row| &row.cells[place].shape);
            inputs.push(json!({
                "name": input.name,
                "datatype": input.datatype.as_str(),
                "shape": input.shape(rows.len(), shape),
                "parameters": { "binary_data_size": data.len() - starts },
            }));
        }
        let outputs = self.outputs.iter().map(|name| json!({ "name": name }));
        let head = json!({
            "inputs": inputs,
            "outputs": outputs.collect::<Vec<_>>(),
            "parameters": { "binary_data_output": true },
        });
        (head, data)
    }
}

/// Rows of so many bytes that one request carries.
fn rows_of(row_bytes: usize) -> usize {
    REQUEST_BYTES_MAX / row_bytes.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_stays_below_its_bound_unless_one_row_is_larger() {
        let check = |row_bytes, expect| assert_eq!(rows_of(row_bytes), expect, "{row_bytes}");
        check(16, 65_536);
        check(REQUEST_BYTES_MAX / 2, 2);
        check(REQUEST_BYTES_MAX / 2 + 1, 1);
        check(REQUEST_BYTES_MAX + 1, 0);
        check(0, REQUEST_BYTES_MAX);
    }
}
