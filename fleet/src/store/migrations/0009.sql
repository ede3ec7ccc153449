-- Scores of classifiers and labels that came for them, summed over an hour: kept with each window
-- that carries some. Windows of shadows are in no sum.

CREATE TABLE score_hours (
    model TEXT NOT NULL,
    device TEXT NOT NULL,
    -- Unix hours, as in feature_hours.
    hour INTEGER NOT NULL,
    bundle BLOB NOT NULL,
    -- Empty: windows that name none, which carry labels only.
    reference BLOB NOT NULL,
    sums BLOB NOT NULL,
    UNIQUE (model, device, hour, bundle, reference)
) STRICT;
CREATE INDEX score_hours_of_model ON score_hours (model, hour);

-- What gates estimate of scores: rows that have one, and the sum of how wrong they say they are.
ALTER TABLE ring_counts ADD COLUMN scored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ring_counts ADD COLUMN estimated_wrong_steps INTEGER NOT NULL DEFAULT 0;
