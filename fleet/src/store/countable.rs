//! What gates can count of a release's windows, as its bundle says when it is published.
//!
//! Never compares what was counted differently: another objective, another output, other bins.

use minicbor::{Decode, Encode};
use muster_fleet::gate::{Promised, Share};
use muster_fleet::quality::ScoreSums;
use muster_fleet::statistics::quality::estimated;
use muster_protocol::digest::Digest;
use muster_protocol::limits::SCORE_EDGES_MAX;
use muster_protocol::message::{FeatureWindow, Window};
use muster_protocol::stats::ScoreScale;
use muster_protocol::stats::score::STEPS_PER_ONE;

const PPM: f64 = 1e6;

/// What the windows of one release count beside calls and errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Countable {
    /// The latency that the card allows, microseconds.
    #[n(0)]
    pub(crate) latency_objective_us: Option<u32>,
    /// The output whose bins are the classes of the prediction mix.
    #[n(1)]
    pub(crate) classes: Option<Classes>,
    /// What a shadow of it is compared by; none when it was published before that was known.
    #[n(2)]
    pub(crate) compares: Option<Compares>,
    /// What scores its windows count; none when its reference names no probabilities.
    #[n(3)]
    pub(crate) scores: Option<ScoresOf>,
    /// Features of its reference; none when it was published before that was known.
    #[n(4)]
    pub(crate) features: Option<u16>,
    /// How its scores are read; none when they are not counted, or it was published before that was
    /// known.
    #[n(5)]
    pub(crate) layout: Option<ScoreLayout>,
}

/// Where the bins of a score end, and what the reference's own scores promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct ScoreLayout {
    /// Ascending, in steps; zeros at the end are none.
    #[n(0)]
    pub(crate) edges: [u32; SCORE_EDGES_MAX],
    /// Predictions that are estimated to be wrong, in millionths.
    #[n(1)]
    pub(crate) wrong_ppm: u32,
    /// What the estimated AUC of two classes lacks of 1, in millionths.
    #[n(2)]
    pub(crate) misranked_ppm: Option<u32>,
}

/// Whose probabilities are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum ScoresOf {
    /// Of the positive one of two classes.
    #[n(0)]
    TwoClasses,
    /// Of the predicted one of more.
    #[n(1)]
    ManyClasses,
}

/// By what a device compares a shadow with what serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Compares {
    /// By the class of its first output.
    #[n(0)]
    pub(crate) classes: bool,
    /// By the scores of its first output of floats.
    #[n(1)]
    pub(crate) scores: bool,
}

/// The bins of one output in a release's reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Classes {
    /// The reference that windows name.
    #[n(0)]
    pub(crate) reference: Digest,
    /// Which of its features the output is.
    #[n(1)]
    pub(crate) feature: u8,
    /// How many bins it has.
    #[n(2)]
    pub(crate) bins: u8,
    /// Digest of what makes a bin mean the same in two releases: name, tensor, element, edges.
    #[n(3)]
    pub(crate) meaning: Digest,
}

/// What a window counted of requests whose latency was measured against an objective.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Latencies {
    /// Requests.
    pub(super) measured: u64,
    /// Of those, the ones over the objective.
    pub(super) misses: u64,
}

impl ScoreLayout {
    /// Of a reference.
    pub(crate) fn of(scale: ScoreScale, sums: &ScoreSums) -> Option<Self> {
        let mut edges = [0; SCORE_EDGES_MAX];
        let known = edges.iter_mut().zip(scale.edges());
        known.for_each(|(into, edge)| *into = *edge);
        let found = estimated(&sums.scored(scale), scale.positive_from());
        let lacks = |figure: f64| ((1.0 - figure).clamp(0.0, 1.0) * PPM).round() as u32;
        let auc = found.auc.filter(|_| scale.positive().is_some());
        Some(Self {
            edges,
            wrong_ppm: lacks(found.accuracy?),
            misranked_ppm: auc.map(lacks),
        })
    }

    /// Predictions of the rarer of two classes, as scores expect them, and what the estimated AUC lacks
    /// of 1, as often as there are these, in steps.
    pub(crate) fn ranked(&self, sums: &ScoreSums) -> (u64, u64) {
        let edges = self.edges.into_iter().filter(|edge| *edge > 0);
        let Ok(scale) = ScoreScale::new(1, None, edges) else {
            return (0, 0);
        };
        let bins = sums.scored(scale);
        let (positive, all) = bins.iter().fold((0.0, 0.0), |(positive, all), bin| {
            let count = bin.count as f64;
            (positive + bin.sum_p.clamp(0.0, count), all + count)
        });
        let ranked = f64::min(positive, all - positive).round();
        let auc = estimated(&bins, scale.positive_from()).auc;
        auc.map_or((0, 0), |auc| {
            let steps = (1.0 - auc) * ranked * f64::from(STEPS_PER_ONE);
            (ranked as u64, steps.round() as u64)
        })
    }
}

impl Countable {
    /// What of the windows of `other` can be compared with those of this release.
    pub(super) fn shared_with(&self, other: &Self) -> Self {
        let alike = self.has_classes_of(other);
        Self {
            // Windows say themselves against which objective they counted.
            latency_objective_us: self.latency_objective_us,
            classes: other.classes.filter(|_| alike),
            compares: self.compares,
            scores: other.scores.filter(|scores| Some(*scores) == self.scores),
            features: self.features,
            layout: self.layout,
        }
    }

    /// What the scores of its reference promise.
    pub(crate) fn promised(&self) -> Promised {
        let share = |ppm: u32| Share::try_from(f64::from(ppm) / PPM).ok();
        Promised {
            wrong: self.layout.and_then(|layout| share(layout.wrong_ppm)),
            misranked: self.layout.and_then(|layout| share(layout.misranked_ppm?)),
        }
    }

    /// The scores of a window, where two releases of two classes are compared by their AUC.
    pub(super) fn ranked(&self, window: &Window<'_>) -> Option<ScoreSums> {
        let is_ours = self.scores == Some(ScoresOf::TwoClasses);
        let scores = window.scores.as_ref().filter(|_| is_ours)?;
        let sums = ScoreSums::of(Some(scores), None);
        Some(ScoreSums {
            bins: sums.bins,
            steps: sums.steps,
            squares: sums.squares,
            ..ScoreSums::default()
        })
    }

    /// Rows of a window that have a score, and the sum of the probabilities that they are predicted
    /// wrongly, in steps.
    pub(super) fn estimated_wrong(&self, window: &Window<'_>) -> (u64, u64) {
        let Some((of, scores)) = self.scores.zip(window.scores.as_ref()) else {
            return (0, 0);
        };
        let bins = scores.bins.iter().map(|bin| {
            let all = u64::from(bin.count) * u64::from(STEPS_PER_ONE);
            let right = bin.sum.min(all);
            let wrong = match of {
                // A bin lies on one side of half: what it predicts is the likelier class.
                ScoresOf::TwoClasses => right.min(all - right),
                ScoresOf::ManyClasses => all - right,
            };
            (u64::from(bin.count), wrong)
        });
        bins.fold((0, 0), |(rows, sum), (count, wrong)| {
            let rows = u64::saturating_add(rows, count);
            (rows, u64::saturating_add(sum, wrong))
        })
    }

    /// Whether both releases have an output whose bins mean the same.
    pub(crate) fn has_classes_of(&self, other: &Self) -> bool {
        let both = self.classes.zip(other.classes);
        both.is_some_and(|(mine, theirs)| mine.meaning == theirs.meaning)
    }

    /// Requests of a window that were counted against this objective; none of any other window.
    pub(super) fn latencies(&self, window: &Window<'_>) -> Latencies {
        let counted = window.latency_misses;
        let ours =
            counted.filter(|counted| Some(counted.objective_us) == self.latency_objective_us);
        ours.map_or_else(Latencies::default, |ours| {
            let measured = window.latency.iter();
            let measured = measured.map(|latency| u64::from(latency.count)).sum();
            // Whatever a device says, no more requests miss than there were.
            let misses = u64::from(ours.count).min(measured);
            Latencies { measured, misses }
        })
    }

    /// The output in a window that was counted by these bins; nothing of any other window.
    pub(super) fn output<'b>(&self, window: &Window<'b>) -> Option<FeatureWindow<'b>> {
        let classes = self.classes?;
        let same = window.reference == Some(classes.reference);
        let mut features = window.features.iter().filter(|_| same);
        let output = features.nth(usize::from(classes.feature))?;
        (output.bins.len() == usize::from(classes.bins)).then_some(output)
    }
}

#[cfg(test)]
mod tests {
    use muster_protocol::cbor::List;
    use muster_protocol::id::{EpochGeneration, ModelId};
    use muster_protocol::message::{LatencyCount, LatencyMisses, ScoreCount, Scores};
    use muster_protocol::stats::FeatureCounts;
    use muster_protocol::time::Millis;

    use super::*;

    const LATENCY: [LatencyCount; 2] = [
        LatencyCount {
            bucket: 20,
            count: 7,
        },
        LatencyCount {
            bucket: 60,
            count: 3,
        },
    ];

    fn window<'b>(features: &'b [FeatureWindow<'b>], misses: Option<(u32, u32)>) -> Window<'b> {
        Window {
            model: ModelId::parse("bearing").expect("valid"),
            bundle: Digest([1; 32]),
            since: EpochGeneration::new(1, 1),
            reference: Some(Digest([2; 32])),
            started: Millis(0),
            ended: Millis(1000),
            unix: None,
            closed_windows: 1,
            calls: 10,
            errors: List::default(),
            latency: List::of(&LATENCY),
            features: List::of(features),
            latency_misses: misses.map(|(objective_us, count)| LatencyMisses {
                objective_us,
                count,
            }),
            shadow: None,
            scores: None,
            labels: None,
        }
    }

    fn classes(reference: u8, feature: u8, bins: u8, meaning: u8) -> Option<Classes> {
        Some(Classes {
            reference: Digest([reference; 32]),
            feature,
            bins,
            meaning: Digest([meaning; 32]),
        })
    }

    #[test]
    fn only_misses_of_the_same_objective_count() {
        let check = |objective: Option<u32>, said: Option<(u32, u32)>, expect: (u64, u64)| {
            let countable = Countable {
                features: None,
                compares: None,
                scores: None,
                layout: None,
                latency_objective_us: objective,
                classes: None,
            };
            let Latencies { measured, misses } = countable.latencies(&window(&[], said));
            assert_eq!((measured, misses), expect, "{objective:?} {said:?}");
        };
        check(Some(500), Some((500, 3)), (10, 3));
        check(Some(500), Some((500, 0)), (10, 0));
        check(Some(500), Some((500, 99)), (10, 10));
        check(Some(500), Some((501, 3)), (0, 0));
        check(Some(500), None, (0, 0));
        check(None, Some((500, 3)), (0, 0));
        check(None, None, (0, 0));
    }

    #[test]
    fn only_bins_of_the_same_reference_are_classes() {
        let counts = FeatureCounts::default();
        let features = [FeatureWindow::of(&counts, 3), FeatureWindow::of(&counts, 4)];
        let check = |classes: Option<Classes>, expect: bool| {
            let countable = Countable {
                features: None,
                compares: None,
                scores: None,
                layout: None,
                latency_objective_us: None,
                classes,
            };
            let found = countable.output(&window(&features, None));
            assert_eq!(found.is_some(), expect, "{classes:?}");
        };
        check(classes(2, 1, 4, 9), true);
        check(classes(3, 1, 4, 9), false);
        check(classes(2, 0, 4, 9), false);
        check(classes(2, 2, 4, 9), false);
        check(None, false);
    }

    #[test]
    fn classes_of_two_releases_compare_by_what_their_bins_mean() {
        let check = |mine: Option<Classes>, theirs: Option<Classes>, expect: Option<Classes>| {
            let of = |classes, objective| Countable {
                features: None,
                compares: None,
                scores: None,
                layout: None,
                latency_objective_us: Some(objective),
                classes,
            };
            let shared = of(mine, 500).shared_with(&of(theirs, 900));
            assert_eq!(shared, of(expect, 500), "{mine:?} {theirs:?}");
        };
        let mine = classes(2, 1, 4, 9);
        check(mine, classes(3, 5, 4, 9), classes(3, 5, 4, 9));
        check(mine, classes(2, 1, 4, 8), None);
        check(mine, None, None);
        check(None, mine, None);
    }

    #[test]
    fn what_scores_call_wrong_is_the_lesser_class_of_two_and_the_rest_of_many() {
        let check = |scores, bins: &[(u32, u64)], expect: (u64, u64)| {
            let bins: Vec<_> = (0..)
                .zip(bins)
                .map(|(bin, (count, sum))| ScoreCount {
                    bin,
                    count: *count,
                    sum: *sum,
                    squares: 0,
                })
                .collect();
            let scored = Scores {
                bins: List::of(&bins),
                classes: List::default(),
                improper: 0,
            };
            let window = Window {
                scores: Some(scored),
                ..window(&[], None)
            };
            let countable = Countable {
                features: None,
                scores,
                ..Countable::default()
            };
            assert_eq!(countable.estimated_wrong(&window), expect, "{scores:?}");
        };
        let one = u64::from(STEPS_PER_ONE);
        // Two rows of a tenth, two of three quarters.
        let bins = [(2, one / 5), (2, 3 * one / 2)];
        check(None, &bins, (0, 0));
        check(Some(ScoresOf::TwoClasses), &bins, (4, one / 5 + one / 2));
        check(
            Some(ScoresOf::ManyClasses),
            &bins,
            (4, 2 * one - one / 5 + one / 2),
        );
        // Whatever a device says, no row is more than certain.
        check(Some(ScoresOf::ManyClasses), &[(2, 9 * one)], (2, 0));
    }

    #[test]
    fn an_estimated_auc_is_that_of_the_device_over_its_rarer_class() {
        let scale = ScoreScale::even(1, None).expect("valid");
        let sums = |positive: u64, negative: u64| {
            let mut sums = ScoreSums::default();
            for (bin, count, steps) in [(1, negative, 6_553), (18, positive, 58_982)] {
                (sums.bins[bin], sums.steps[bin]) = (count, count * steps);
            }
            sums
        };
        let layout = ScoreLayout::of(scale, &sums(500, 500)).expect("known");
        // By hand: nine of ten right; of pairs that differ in class, 0.81 in order and 0.18 in one bin.
        let percent = |ppm: u32| (ppm + 5000) / 10_000;
        assert_eq!(percent(layout.wrong_ppm), 10);
        assert_eq!(layout.misranked_ppm.map(percent), Some(10));
        let check = |positive, negative, expect: (u64, f64)| {
            let (ranked, steps) = layout.ranked(&sums(positive, negative));
            let lacks = steps as f64 / f64::from(STEPS_PER_ONE) / ranked.max(1) as f64;
            assert_eq!(ranked, expect.0);
            assert!(
                (lacks - expect.1).abs() < 0.005,
                "{positive} {negative}: {lacks}"
            );
        };
        check(500, 500, (500, 0.1));
        check(1000, 1000, (1000, 0.1));
        check(100, 900, (180, 0.256));
        check(0, 0, (0, 0.0));
        let one_class = ScoreLayout {
            edges: [0; SCORE_EDGES_MAX],
            ..layout
        };
        assert_eq!(one_class.ranked(&sums(5, 5)), (0, 0), "edges that are none");
        let countable = Countable {
            layout: Some(layout),
            scores: Some(ScoresOf::TwoClasses),
            ..Countable::default()
        };
        let bytes = minicbor::to_vec(countable).expect("written");
        assert_eq!(
            minicbor::decode::<Countable>(&bytes).expect("read"),
            countable
        );
        let promised = countable.promised();
        let percent = |share: Option<Share>| share.map(|share| (share.get() * 100.0).round());
        assert_eq!(percent(promised.wrong), Some(10.0));
        assert_eq!(percent(promised.misranked), Some(10.0));
        assert_eq!(Countable::default().promised(), Promised::default());
    }
}
