-- Shadows: a device may run a second version of a model beside the one that serves. What it shall
-- run, its entries and its receipts are told apart by the role: 0 serves, 1 is a shadow.

ALTER TABLE rollouts ADD COLUMN role INTEGER NOT NULL DEFAULT 0;
ALTER TABLE receipts ADD COLUMN role INTEGER NOT NULL DEFAULT 0;

CREATE TABLE desired_by_role (
    device TEXT NOT NULL,
    model TEXT NOT NULL,
    role INTEGER NOT NULL,
    version TEXT NOT NULL,
    settings BLOB NOT NULL,
    -- Raised by a deliberate retry of the same version.
    attempt INTEGER NOT NULL,
    rollout INTEGER NOT NULL,
    -- Of a release that the device showed after a restore.
    statement BLOB,
    statement_size INTEGER,
    PRIMARY KEY (device, model, role)
) STRICT, WITHOUT ROWID;
INSERT INTO desired_by_role (device, model, role, version, settings, attempt, rollout, statement,
    statement_size)
SELECT device, model, 0, version, settings, attempt, rollout, statement, statement_size FROM desired;
DROP TABLE desired;
ALTER TABLE desired_by_role RENAME TO desired;

CREATE TABLE entries_by_role (
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    model TEXT NOT NULL,
    role INTEGER NOT NULL,
    version TEXT NOT NULL,
    statement BLOB NOT NULL,
    statement_size INTEGER NOT NULL,
    since_epoch INTEGER NOT NULL,
    since_generation INTEGER NOT NULL,
    settings BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, generation, model, role)
) STRICT, WITHOUT ROWID;
INSERT INTO entries_by_role (device, epoch, generation, model, role, version, statement,
    statement_size, since_epoch, since_generation, settings, attempt)
SELECT device, epoch, generation, model, 0, version, statement, statement_size, since_epoch,
    since_generation, settings, attempt FROM entries;
DROP TABLE entries;
ALTER TABLE entries_by_role RENAME TO entries;

CREATE TABLE device_models_by_role (
    device TEXT NOT NULL,
    model TEXT NOT NULL,
    role INTEGER NOT NULL,
    version TEXT NOT NULL,
    since_epoch INTEGER NOT NULL,
    since_generation INTEGER NOT NULL,
    step TEXT NOT NULL,
    reason TEXT,
    detail TEXT,
    active_version TEXT,
    committed_version TEXT,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (device, model, role)
) STRICT, WITHOUT ROWID;
INSERT INTO device_models_by_role (device, model, role, version, since_epoch, since_generation,
    step, reason, detail, active_version, committed_version, updated_at)
SELECT device, model, 0, version, since_epoch, since_generation, step, reason, detail,
    active_version, committed_version, updated_at FROM device_models;
DROP TABLE device_models;
ALTER TABLE device_models_by_role RENAME TO device_models;

-- How it compared, of a window of a shadow: JSON. Such windows are in no other sum.
ALTER TABLE windows ADD COLUMN shadow TEXT;
ALTER TABLE ring_counts ADD COLUMN shadow TEXT;
