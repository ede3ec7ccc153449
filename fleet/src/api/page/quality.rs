//! How well a classifier does, as sentences of the page: estimated and measured apart, each with
//! its interval and with what stands behind it. Never a verdict.

use muster_fleet::quality::{ESTIMATE_ASSUMES, Figure, Figures, Quality};

use super::text::counted;

/// Sentences; none for what has neither estimate nor label.
pub(super) fn said(quality: &Quality) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(estimated) = &quality.estimated {
        let figures = figures(estimated);
        let n = counted(estimated.n, "prediction");
        said.push(format!(
            "Estimated from {n}: {figures} ({ESTIMATE_ASSUMES})."
        ));
    }
    if let Some(measured) = &quality.measured {
        let n = counted(measured.n, "label");
        said.push(format!("Measured with {n}: {}.", figures(measured)));
    }
    if quality.improper > 0 {
        let rows = counted(quality.improper, "row");
        said.push(format!("No probabilities, and left out: {rows}."));
    }
    said
}

fn figures(figures: &Figures) -> String {
    let named = [("accuracy", figures.accuracy), ("AUC", figures.auc)];
    let each = named
        .into_iter()
        .filter_map(|(name, figure)| Some((name, figure?)));
    let each: Vec<_> = each.map(|(name, figure)| words(name, &figure)).collect();
    each.join(", ")
}

fn words(name: &str, figure: &Figure) -> String {
    let Figure {
        value, low, high, ..
    } = figure;
    let of_reference = figure
        .reference
        .map(|reference| format!(", {reference:.3} in the reference"));
    format!(
        "{name} {value:.3} (95 %: {low:.3} to {high:.3}{})",
        of_reference.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_estimated_and_what_is_measured_are_two_sentences() {
        let figure = Figure {
            value: 0.9,
            low: 0.88,
            high: 0.915,
            reference: Some(0.95),
            drop: None,
        };
        let figures = |n, auc| Figures {
            n,
            accuracy: Some(figure),
            auc,
            f1: None,
        };
        let quality = Quality {
            classes: 2,
            predictions: 1000,
            improper: 1,
            predicted: vec![400, 600],
            labels: 30,
            labels_unknown: 0,
            labels_stale: 0,
            estimated: Some(figures(1000, Some(figure))),
            measured: Some(figures(30, None)),
        };
        let expect = [
            "Estimated from 1,000 predictions: accuracy 0.900 (95 %: 0.880 to 0.915, 0.950 in the \
             reference), AUC 0.900 (95 %: 0.880 to 0.915, 0.950 in the reference) (an estimate \
             assumes calibrated scores and that what they mean has not changed).",
            "Measured with 30 labels: accuracy 0.900 (95 %: 0.880 to 0.915, 0.950 in the reference).",
            "No probabilities, and left out: 1 row.",
        ];
        assert_eq!(said(&quality), expect);
    }
}
