-- What each device counted of each feature, summed over an hour: kept with each window, so that
-- nobody sums over windows. Counts of different references never share a row.

CREATE TABLE feature_hours (
    model TEXT NOT NULL,
    device TEXT NOT NULL,
    -- Unix hours of the end of its windows: by trusted time where there is one, and never later
    -- than they came.
    hour INTEGER NOT NULL,
    bundle BLOB NOT NULL,
    -- Empty: windows without features.
    reference BLOB NOT NULL,
    closed_windows INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    -- Windows that name this reference and do not have its features: they are in no sum.
    misfits INTEGER NOT NULL,
    sums BLOB NOT NULL,
    -- With row numbers: without them, a row of a thousand bytes takes a page of its own.
    UNIQUE (model, device, hour, bundle, reference)
) STRICT;
CREATE INDEX feature_hours_of_model ON feature_hours (model, hour);
