-- The watch over windows: how far it has come, the states of its charts, what happened to it, what
-- alarmed, and what that was found to be.

-- How far. Kept 0: now. Kept 1: before the oldest window that is still there, so that everything
-- since can be computed again.
CREATE TABLE watching (
    kept INTEGER PRIMARY KEY,
    -- The newest window that was looked at.
    window INTEGER NOT NULL,
    -- The newest event that was heeded.
    event INTEGER NOT NULL,
    -- How states are written. Others mean nothing to this program.
    format INTEGER NOT NULL,
    -- Windows up to here have been told already: what they show is told to nobody again.
    told_window INTEGER NOT NULL,
    -- JSON.
    rule TEXT NOT NULL
) STRICT;

CREATE TABLE watches (
    kept INTEGER NOT NULL,
    model TEXT NOT NULL,
    bundle BLOB NOT NULL,
    -- 0: a device. 1: a cohort.
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- The newest window in it.
    window INTEGER NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (kept, model, bundle, kind, name)
) STRICT;

-- The labels by which devices were put into cohorts: JSON.
CREATE TABLE watch_labels (
    kept INTEGER NOT NULL,
    device TEXT NOT NULL,
    labels TEXT NOT NULL,
    PRIMARY KEY (kept, device)
) STRICT, WITHOUT ROWID;

-- What changed how windows are judged: another rule, other labels, an order to learn anew. It holds
-- for windows after the one it names.
CREATE TABLE watch_events (
    event INTEGER PRIMARY KEY,
    after_window INTEGER NOT NULL,
    at INTEGER NOT NULL,
    -- JSON.
    what TEXT NOT NULL
) STRICT;

CREATE TABLE alarms (
    alarm INTEGER PRIMARY KEY,
    -- The window that completed it, which may be gone.
    window INTEGER NOT NULL,
    format INTEGER NOT NULL,
    model TEXT NOT NULL,
    bundle BLOB NOT NULL,
    -- None of a cohort.
    device TEXT,
    at INTEGER NOT NULL,
    -- JSON.
    what TEXT NOT NULL
) STRICT;
CREATE INDEX alarms_of_window ON alarms (window);
CREATE INDEX alarms_of_model ON alarms (model, alarm);

-- What the alarms of a window were found to be.
CREATE TABLE placings (
    placing INTEGER PRIMARY KEY,
    window INTEGER NOT NULL,
    format INTEGER NOT NULL,
    model TEXT NOT NULL,
    bundle BLOB NOT NULL,
    at INTEGER NOT NULL,
    cause TEXT NOT NULL,
    -- JSON.
    what TEXT NOT NULL
) STRICT;
CREATE INDEX placings_of_window ON placings (window);
CREATE INDEX placings_of_model ON placings (model, placing);
