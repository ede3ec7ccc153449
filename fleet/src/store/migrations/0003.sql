-- A controller that was restored from a backup: from where its numbers resume, and which devices
-- it must hear before it tells them anything.

-- No assignment of the device gets a lower generation, in any epoch.
ALTER TABLE devices ADD COLUMN generation_floor INTEGER NOT NULL DEFAULT 0;

-- Of a release that an adopted assignment names and that may not be in this store: then the
-- rollout is 0.
ALTER TABLE desired ADD COLUMN statement BLOB;
ALTER TABLE desired ADD COLUMN statement_size INTEGER;

CREATE TABLE restores (
    restore INTEGER PRIMARY KEY,
    backup_at INTEGER NOT NULL,
    restored_at INTEGER NOT NULL,
    -- Of devices that are enrolled from then on: an older enrolment may have been lost.
    generation_floor INTEGER NOT NULL,
    -- No metadata but root gets a lower version.
    version_floor INTEGER NOT NULL
) STRICT;

CREATE TABLE held (
    device TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    held_at INTEGER NOT NULL,
    -- The newest rollout at that time: only later ones are wishes that the device cannot have
    -- outrun.
    rollouts_before INTEGER NOT NULL,
    -- What its next hello must repeat to count.
    challenge BLOB,
    -- What a hello that counted said it has accepted.
    claimed_epoch INTEGER,
    claimed_generation INTEGER,
    claimed_digest BLOB,
    -- Why that cannot be adopted.
    refused TEXT
) STRICT, WITHOUT ROWID;
