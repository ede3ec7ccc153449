-- Devices, what they shall run, what they said. Numbers that may exceed 63 bits are stored as
-- the signed number with the same bits; digests and ids of streams as blobs.

CREATE TABLE devices (
    device TEXT PRIMARY KEY,
    labels TEXT NOT NULL DEFAULT '{}',
    enrolled_at INTEGER NOT NULL,
    last_seen INTEGER,
    connected INTEGER NOT NULL DEFAULT 0,
    agent TEXT,
    boot BLOB,
    at_ms INTEGER,
    health TEXT,
    metadata TEXT,
    accepted_epoch INTEGER,
    accepted_generation INTEGER,
    accepted_digest BLOB,
    -- The newest assignment that was composed; numbers only grow.
    epoch INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE device_keys (
    device TEXT NOT NULL,
    document_key BLOB NOT NULL,
    added_at INTEGER NOT NULL,
    retired_at INTEGER,
    PRIMARY KEY (device, document_key)
) STRICT, WITHOUT ROWID;

-- The enrolment log: one row for each certificate that was issued, in their order: two may have
-- been issued in one second.
CREATE TABLE certificates (
    issue INTEGER PRIMARY KEY,
    serial TEXT NOT NULL UNIQUE,
    device TEXT NOT NULL,
    tls_key BLOB NOT NULL,
    document_key BLOB NOT NULL,
    issued_at INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    chain TEXT NOT NULL
) STRICT;
CREATE INDEX certificates_of_device ON certificates (device, issue);

CREATE TABLE tokens (
    -- sha256 of the secret: the store alone enrols nobody.
    secret BLOB PRIMARY KEY,
    device TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    -- Set by the first use.
    document_key BLOB,
    tls_key BLOB,
    serial TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE metadata (
    role TEXT NOT NULL,
    version INTEGER NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (role, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE releases (
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    rank INTEGER NOT NULL,
    statement BLOB NOT NULL,
    statement_size INTEGER NOT NULL,
    bundle BLOB NOT NULL,
    class TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    PRIMARY KEY (model, version),
    UNIQUE (model, rank)
) STRICT, WITHOUT ROWID;

-- Everything that a statement reaches, itself and the manifest included.
CREATE TABLE release_blobs (
    statement BLOB NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (statement, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollouts (
    rollout INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    selector TEXT NOT NULL,
    percent INTEGER NOT NULL,
    settings BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE rollout_devices (
    rollout INTEGER NOT NULL,
    device TEXT NOT NULL,
    PRIMARY KEY (rollout, device)
) STRICT, WITHOUT ROWID;

-- The newest rollout that has a say over a model on a device.
CREATE TABLE desired (
    device TEXT NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    settings BLOB NOT NULL,
    -- Raised by a deliberate retry of the same version.
    attempt INTEGER NOT NULL,
    rollout INTEGER NOT NULL,
    PRIMARY KEY (device, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE assignments (
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    digest BLOB NOT NULL,
    issued_at INTEGER NOT NULL,
    accept_by INTEGER NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (device, epoch, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE entries (
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    statement BLOB NOT NULL,
    statement_size INTEGER NOT NULL,
    since_epoch INTEGER NOT NULL,
    since_generation INTEGER NOT NULL,
    settings BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, generation, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE streams (
    device TEXT NOT NULL,
    stream BLOB NOT NULL,
    kind INTEGER NOT NULL,
    through INTEGER NOT NULL DEFAULT 0,
    predecessor BLOB,
    superseded INTEGER NOT NULL DEFAULT 0,
    opened_at INTEGER NOT NULL,
    PRIMARY KEY (device, stream)
) STRICT, WITHOUT ROWID;

-- Every number that was taken, whatever became of it.
CREATE TABLE documents (
    device TEXT NOT NULL,
    stream BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    digest BLOB NOT NULL,
    -- Number of the reason, when the document could not be read.
    rejected INTEGER,
    PRIMARY KEY (device, stream, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    device TEXT NOT NULL,
    stream BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (device, stream, sequence)
) STRICT, WITHOUT ROWID;

-- What is missing: numbers that a device no longer keeps, and losses that it counted.
CREATE TABLE reported_gaps (
    device TEXT NOT NULL,
    stream BLOB NOT NULL,
    first INTEGER NOT NULL,
    through INTEGER NOT NULL,
    reported_at INTEGER NOT NULL,
    PRIMARY KEY (device, stream, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE gaps (
    device TEXT NOT NULL,
    stream BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    model TEXT,
    reason INTEGER NOT NULL,
    closed_windows INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (device, stream, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
    receipt INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    stream BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    bundle BLOB,
    since_epoch INTEGER NOT NULL,
    since_generation INTEGER NOT NULL,
    step TEXT NOT NULL,
    reason TEXT,
    detail TEXT,
    unix INTEGER,
    received_at INTEGER NOT NULL,
    measured TEXT NOT NULL,
    document BLOB NOT NULL,
    UNIQUE (device, stream, sequence)
) STRICT;
CREATE INDEX receipts_of_model ON receipts (model, receipt);

CREATE TABLE windows (
    window INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    stream BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    model TEXT NOT NULL,
    bundle BLOB NOT NULL,
    boot BLOB NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    unix INTEGER,
    closed_windows INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    document BLOB NOT NULL,
    UNIQUE (device, stream, sequence)
) STRICT;
CREATE INDEX windows_of_model ON windows (model, window);

-- Sums over the windows of one bundle on one device, kept with each window.
CREATE TABLE counters (
    device TEXT NOT NULL,
    model TEXT NOT NULL,
    bundle BLOB NOT NULL,
    calls INTEGER NOT NULL,
    closed_windows INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    latency BLOB NOT NULL,
    PRIMARY KEY (device, model, bundle)
) STRICT, WITHOUT ROWID;

-- Where each model stands, by the receipts in their order.
CREATE TABLE device_models (
    device TEXT NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    since_epoch INTEGER NOT NULL,
    since_generation INTEGER NOT NULL,
    step TEXT NOT NULL,
    reason TEXT,
    detail TEXT,
    active_version TEXT,
    committed_version TEXT,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (device, model)
) STRICT, WITHOUT ROWID;

CREATE TABLE incidents (
    incident INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    raised_at INTEGER NOT NULL
) STRICT;
CREATE INDEX incidents_of_device ON incidents (device, kind);
