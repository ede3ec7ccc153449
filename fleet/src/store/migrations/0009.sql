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
