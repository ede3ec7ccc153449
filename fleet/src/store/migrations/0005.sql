-- Rollouts by policy: numbered plans, where each stands, whom it told, what the field says of it,
-- and the record of every decision. A rollout without a policy has none of them.

-- As JSON. None: it reached all of its devices when it was made.
ALTER TABLE rollouts ADD COLUMN standing TEXT;
-- Whether the standing is one in which nothing follows by itself or by command.
ALTER TABLE rollouts ADD COLUMN ended INTEGER NOT NULL DEFAULT 1;
CREATE INDEX rollouts_that_go_on ON rollouts (rollout) WHERE ended = 0;

-- When anything that the device has signed was taken last.
ALTER TABLE devices ADD COLUMN last_contact INTEGER;

-- What gates can count of its windows, as CBOR. None: it was published before there was such.
ALTER TABLE releases ADD COLUMN countable BLOB;

CREATE TABLE plans (
    rollout INTEGER NOT NULL,
    plan INTEGER NOT NULL,
    -- JSON, compressed.
    document BLOB NOT NULL,
    PRIMARY KEY (rollout, plan)
) STRICT, WITHOUT ROWID;

-- Devices that a rollout has told something.
CREATE TABLE told (
    rollout INTEGER NOT NULL,
    device TEXT NOT NULL,
    model TEXT NOT NULL,
    ring INTEGER NOT NULL,
    told_at INTEGER NOT NULL,
    -- The first thing that it signed afterwards.
    contact_at INTEGER,
    -- Place of the entry: only what is said about it counts.
    since_epoch INTEGER NOT NULL,
    since_generation INTEGER NOT NULL,
    retries INTEGER NOT NULL DEFAULT 0,
    -- What it ran before. None: nothing of this model.
    previous TEXT,
    back_at INTEGER,
    back_contact_at INTEGER,
    back_epoch INTEGER,
    back_generation INTEGER,
    PRIMARY KEY (rollout, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX told_of_device ON told (device, model);

-- What devices counted for a ring: those that it told, and beside them those that ran the version
-- before in the same time. Sums, kept with each window.
CREATE TABLE ring_counts (
    rollout INTEGER NOT NULL,
    ring INTEGER NOT NULL,
    -- 0: the ring. 1: its control.
    arm INTEGER NOT NULL,
    device TEXT NOT NULL,
    bundle BLOB NOT NULL,
    since_epoch INTEGER NOT NULL,
    since_generation INTEGER NOT NULL,
    closed_windows INTEGER NOT NULL,
    soaked_ms INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    -- JSON: by code.
    errors TEXT NOT NULL,
    -- Requests of windows that count against the objective of the release, and those over it.
    latencies INTEGER NOT NULL,
    latency_misses INTEGER NOT NULL,
    -- JSON: by bin of the first output, of bundles whose bins mean the same.
    classes TEXT NOT NULL,
    PRIMARY KEY (rollout, ring, arm, device, bundle)
) STRICT, WITHOUT ROWID;

CREATE TABLE decisions (
    decision INTEGER PRIMARY KEY,
    rollout INTEGER NOT NULL,
    plan INTEGER NOT NULL,
    decided_at INTEGER NOT NULL,
    -- `tick`, or the command of an order.
    kind TEXT NOT NULL,
    because TEXT NOT NULL,
    -- What decided and what came of it: JSON, compressed.
    record BLOB NOT NULL
) STRICT;
CREATE INDEX decisions_of_rollout ON decisions (rollout, decision);
