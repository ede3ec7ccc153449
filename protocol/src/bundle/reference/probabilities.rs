//! Which output of a model holds probabilities of classes, and what they were when it was made.
//!
//! Never which row had which.

use crate::cbor::List;
use crate::limits::{SCORE_BINS, SCORE_EDGES_MAX};
use crate::message::{LabelCount, Scores};
use crate::stats::ScoreScale;
use crate::stats::score::BadScores;
use minicbor::{Decode, Encode};

/// The probabilities of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Probabilities<'b> {
    /// Which output.
    #[n(0)]
    pub tensor: u8,
    /// Scores in a row of it: one for each class, or a single one of the positive class.
    #[n(1)]
    pub scores: u32,
    /// The positive one of two classes; none of more.
    #[n(2)]
    pub positive: Option<u8>,
    /// Rows of the reference by bin of the score, and by predicted class.
    #[b(3)]
    pub counts: Scores<'b>,
    /// Their labels by bin of the score; empty where the reference has none.
    #[b(4)]
    #[cbor(default)]
    pub labels: List<'b, LabelCount, SCORE_BINS>,
    /// Where bins end, in steps of [`crate::stats::score::STEPS_PER_ONE`], ascending.
    #[b(5)]
    pub edges: List<'b, u32, SCORE_EDGES_MAX>,
}

impl Probabilities<'_> {
    /// The scale that a device reads rows by.
    ///
    /// # Errors
    /// [`BadScores`].
    pub fn scale(&self) -> Result<ScoreScale, BadScores> {
        ScoreScale::new(self.scores, self.positive, self.edges.iter())
    }
}
