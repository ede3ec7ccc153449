//! Verdicts for evidence with a defect each, and what holds for any counts.
