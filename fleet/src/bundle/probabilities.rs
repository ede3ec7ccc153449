//! The output that holds probabilities of classes: checked on every row of the reference data,
//! counted by the code that counts on the device.
//!
//! Never guesses: an output that holds something else is refused with the row that shows it.

use muster_fleet::quality;
use muster_protocol::bundle::Probabilities;
use muster_protocol::cbor::List;
use muster_protocol::message::window::{LabelLists, ScoreLists};
use muster_protocol::stats::score::{BadScores, TOLERANCE};
use muster_protocol::stats::{LabelCounts, Score, ScoreCounts, ScoreScale};

use super::agent::{RowOutputs, Signature};
use super::build::ProbabilitiesArg;
use super::tensor::Datatype;

/// Numbers of a row that an error shows.
const SHOWN_MAX: usize = 8;

/// Scores of the reference data, and their labels.
pub(super) struct Scored {
    tensor: u8,
    scale: ScoreScale,
    scores: ScoreCounts,
    labels: LabelCounts,
}

/// Both as lists, to be written.
pub(super) struct Lists(ScoreLists, LabelLists);

/// Why an output holds no probabilities.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum ProbabilitiesError {
    #[error("the model has no output {name:?}; it has {found}")]
    NoOutput { name: String, found: String },
    #[error(
        "the output {name:?} is of {datatype}: expected is one of floats, which alone hold \
         probabilities and alone are counted on devices"
    )]
    NoFloats { name: String, datatype: String },
    #[error("the runtime gave no row of the output {0:?}")]
    NoRows(String),
    #[error("the output {name:?} gives {scores} numbers a row: {because}")]
    Scores {
        name: String,
        scores: usize,
        because: &'static str,
    },
    #[error(
        "row {row} of the output {name:?} holds no probabilities: {found}; expected are numbers \
         from 0 to 1 that add up to 1, within {TOLERANCE}"
    )]
    Row {
        name: String,
        row: usize,
        found: String,
    },
    #[error("the label of row {row} is {label}: expected is a class, 0 to {last}")]
    Label { row: usize, label: f32, last: u32 },
}

impl Scored {
    /// Reads the output that is asked for in every row; labels that are no numbers are missing.
    pub(super) fn of(
        asked: &ProbabilitiesArg,
        rows: &[RowOutputs],
        labels: Option<&[f32]>,
        model: &Signature,
    ) -> Result<Self, ProbabilitiesError> {
        let name = &asked.output;
        let tensor = place(name, model)?;
        let read = |row: &RowOutputs| -> Option<Vec<f32>> {
            let values = row.get(name)?.iter();
            Some(
                values
                    .map(|value| value.map_or(f32::NAN, |value| value as f32))
                    .collect(),
            )
        };
        let first = rows.first().and_then(read);
        let first = first.ok_or_else(|| ProbabilitiesError::NoRows(name.clone()))?;
        let even = scale(asked, first.len())?;
        let mut scores = Vec::with_capacity(rows.len());
        for (row, values) in (1..).zip(rows.iter().map(|row| read(row).unwrap_or_default())) {
            let score = even.read(values.iter().copied());
            scores.push(score.ok_or_else(|| ProbabilitiesError::Row {
                name: name.clone(),
                row,
                found: shown(&values),
            })?);
        }
        let edges = quality::edges(scores.iter().map(|score| score.steps).collect());
        let scale = ScoreScale::new(even.scores(), even.positive(), edges);
        let scale = scale.expect("invariant: edges ascend and divide two classes");
        let mut scored = Self {
            tensor,
            scale,
            scores: ScoreCounts::default(),
            labels: LabelCounts::default(),
        };
        for (at, score) in scores.iter().enumerate() {
            let score = scale.placed(*score);
            scored.scores.fold(&scale, Some(score));
            let label = labels.and_then(|labels| labels.get(at)).copied();
            if let Some(label) = label.filter(|label| label.is_finite()) {
                scored.label(at + 1, score, label)?;
            }
        }
        Ok(scored)
    }

    fn label(&mut self, row: usize, score: Score, label: f32) -> Result<(), ProbabilitiesError> {
        let whole = label.fract() == 0.0 && label >= 0.0;
        let outcome = self.scale.outcome(score.class, label as u32);
        let last = self.scale.classes() - 1;
        let bad = ProbabilitiesError::Label { row, label, last };
        let outcome = outcome.filter(|_| whole).ok_or(bad)?;
        self.labels.fold(score.bin, outcome);
        Ok(())
    }

    /// The place of the output among those of the model.
    pub(super) const fn tensor(&self) -> u8 {
        self.tensor
    }

    /// The counts as lists.
    pub(super) fn lists(&self) -> Lists {
        Lists(ScoreLists::of(&self.scores), LabelLists::of(&self.labels))
    }

    /// What the reference says.
    pub(super) fn borrowed<'b>(&'b self, Lists(scores, labels): &'b Lists) -> Probabilities<'b> {
        Probabilities {
            tensor: self.tensor,
            scores: self.scale.scores(),
            positive: self.scale.positive(),
            counts: scores.scores(),
            labels: labels.labels().bins,
            edges: List::of(self.scale.edges()),
        }
    }
}

fn place(name: &str, model: &Signature) -> Result<u8, ProbabilitiesError> {
    let mut outputs = (0_u8..=u8::MAX).zip(&model.outputs);
    let found = outputs.find(|(_, output)| output.name == name);
    let (place, output) = found.ok_or_else(|| {
        let names = model
            .outputs
            .iter()
            .map(|output| format!("{:?}", output.name));
        ProbabilitiesError::NoOutput {
            name: name.to_owned(),
            found: names.collect::<Vec<_>>().join(", "),
        }
    })?;
    match Datatype::named(&output.datatype).is_some_and(Datatype::is_float) {
        true => Ok(place),
        false => Err(ProbabilitiesError::NoFloats {
            name: name.to_owned(),
            datatype: output.datatype.clone(),
        }),
    }
}

fn scale(asked: &ProbabilitiesArg, scores: usize) -> Result<ScoreScale, ProbabilitiesError> {
    let number = u32::try_from(scores).unwrap_or(u32::MAX);
    ScoreScale::even(number, asked.positive).map_err(|bad| ProbabilitiesError::Scores {
        name: asked.output.clone(),
        scores,
        because: match bad {
            BadScores::Number | BadScores::Edges => "expected are one, or one for each class",
            BadScores::Positive if scores == 1 => "a single one is that of class 1",
            BadScores::Positive => "only one of two classes can be the positive one",
        },
    })
}

fn shown(values: &[f32]) -> String {
    let few = values.iter().take(SHOWN_MAX).map(f32::to_string);
    let more = if values.len() > SHOWN_MAX {
        ", …"
    } else {
        ""
    };
    format!("[{}{more}]", few.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_protocol::bundle::card::CardTensor;

    fn model() -> Signature {
        let outputs = serde_json::json!([
            { "name": "label", "datatype": "INT64", "shape": [-1] },
            { "name": "p", "datatype": "FP32", "shape": [-1, 2] },
        ]);
        let outputs: Vec<CardTensor> = serde_json::from_value(outputs).expect("tensors");
        Signature {
            inputs: Vec::new(),
            outputs,
        }
    }

    fn scored(
        asked: &str,
        rows: &[&[f64]],
        labels: Option<&[f32]>,
    ) -> Result<Scored, ProbabilitiesError> {
        let row = |row: &&[f64]| {
            let values = row.iter().map(|value| Some(*value)).collect();
            RowOutputs::from([("p".to_owned(), values)])
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        Scored::of(&asked.parse().expect("valid"), &rows, labels, &model())
    }

    fn refused(asked: &str, rows: &[&[f64]], labels: Option<&[f32]>, expect: &str) {
        let error = scored(asked, rows, labels).err().expect("refused");
        assert!(error.to_string().contains(expect), "{error}");
    }

    #[test]
    fn scores_and_labels_are_counted_as_on_the_device() {
        let rows: [&[f64]; 3] = [&[0.2, 0.8], &[0.9, 0.1], &[0.3, 0.7]];
        let labels = [1.0, 0.0, f32::NAN];
        let scored = scored("p", &rows, Some(&labels)).expect("probabilities");
        let lists = scored.lists();
        let written = scored.borrowed(&lists);
        assert_eq!(
            (written.tensor, written.scores, written.positive),
            (1, 2, Some(1))
        );
        assert_eq!(written.counts.counts().n(), 3);
        let labels: Vec<_> = written.labels.iter().collect();
        let labels: Vec<_> = labels
            .iter()
            .map(|l| (l.bin, l.positive, l.negative))
            .collect();
        // Quantiles of three scores are the scores themselves.
        let bin = |p: f32| {
            written
                .scale()
                .expect("valid")
                .read([1.0 - p, p])
                .expect("one")
                .bin
        };
        assert_eq!(labels, [(bin(0.1), 0, 1), (bin(0.8), 1, 0)]);
    }

    #[test]
    fn what_is_no_probability_is_refused_with_its_row() {
        refused(
            "q",
            &[],
            None,
            "has no output \"q\"; it has \"label\", \"p\"",
        );
        refused("p", &[], None, "no row of the output \"p\"");
        refused(
            "p",
            &[&[0.5, 0.5], &[-3.2, 4.1]],
            None,
            "row 2 of the output \"p\" holds no",
        );
        refused("p", &[&[0.5, 0.6]], None, "[0.5, 0.6]");
        refused("p", &[&[0.5, 0.5], &[1.0]], None, "row 2");
        refused(
            "p:positive=0",
            &[&[0.3]],
            None,
            "a single one is that of class 1",
        );
        refused(
            "p:positive=1",
            &[&[0.3, 0.3, 0.4]],
            None,
            "only one of two classes",
        );
        refused("p", &[&[]], None, "gives 0 numbers a row");
    }

    /// Rows of 0 and 1 are probabilities by their numbers: a device would read none of them.
    #[test]
    fn an_output_of_integers_is_refused_though_its_numbers_would_do() {
        let row = RowOutputs::from([("label".to_owned(), vec![Some(1.0)])]);
        let asked = "label".parse().expect("valid");
        let error = Scored::of(&asked, &[row], None, &model())
            .err()
            .expect("refused");
        let text = error.to_string();
        assert!(text.contains("\"label\" is of INT64: expected"), "{text}");
    }

    #[test]
    fn a_label_that_is_no_class_is_refused() {
        for label in [2.0, -1.0, 0.5] {
            refused(
                "p",
                &[&[0.5, 0.5]],
                Some(&[label]),
                "expected is a class, 0 to 1",
            );
        }
    }
}
