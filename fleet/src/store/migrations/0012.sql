-- What the devices of a cohort counted, merged by the hour: kept longer than the hours of each device.
-- The watch adds to it, window by window in their order, beside its own position.

CREATE TABLE cohort_hours (
    model TEXT NOT NULL,
    bundle BLOB NOT NULL,
    -- Empty: windows without features.
    reference BLOB NOT NULL,
    -- Bins of each feature: only sums of one shape add up.
    shape BLOB NOT NULL,
    -- all, or label=value as devices had it when their windows came.
    cohort TEXT NOT NULL,
    -- Unix hours, as in feature_hours.
    hour INTEGER NOT NULL,
    closed_windows INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    misfits INTEGER NOT NULL,
    -- Every feature in the order of the reference, as in feature_hours.
    sums BLOB NOT NULL,
    UNIQUE (model, cohort, hour, bundle, reference, shape)
) STRICT;

-- Who is in them, and with which hour at last.
CREATE TABLE cohort_devices (
    model TEXT NOT NULL,
    bundle BLOB NOT NULL,
    cohort TEXT NOT NULL,
    device TEXT NOT NULL,
    hour INTEGER NOT NULL,
    UNIQUE (model, cohort, bundle, device)
) STRICT;
-- Their hours move on while rows stay where they are: the oldest are found by this.
CREATE INDEX cohort_devices_by_hour ON cohort_devices (hour);

CREATE TABLE cohort_through (
    only INTEGER PRIMARY KEY CHECK (only = 0),
    -- The newest window that is in them.
    window INTEGER NOT NULL,
    -- Hours of single devices are whole from this one on.
    devices_from INTEGER NOT NULL
) STRICT;
INSERT INTO cohort_through (only, window, devices_from)
SELECT 0, ifnull(max(window), 0), 0 FROM windows;
