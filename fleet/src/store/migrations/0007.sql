-- Incidents of two kinds in one list: what devices said, and what windows show. Their findings, who
-- judged them, silences, rules in versions, alerts that go out, and requests for a retrain.

CREATE TABLE incidents_of_both_kinds (
    incident INTEGER PRIMARY KEY,
    -- None: of a cohort, or of the fleet.
    device TEXT,
    kind TEXT NOT NULL,
    -- The newest sentence.
    detail TEXT NOT NULL,
    raised_at INTEGER NOT NULL,
    -- What follows is null where no windows show it.
    model TEXT,
    bundle BLOB,
    -- As a text: device:NAME, cohort:LABEL=VALUE or fleet.
    place TEXT,
    -- Empty: of no single feature.
    feature TEXT,
    -- JSON: the devices that showed it in the newest finding.
    devices TEXT,
    -- Ends of the windows of the first and the newest finding.
    first_at INTEGER,
    last_at INTEGER,
    -- When the newest finding was recorded here.
    noted_at INTEGER,
    findings INTEGER NOT NULL DEFAULT 0,
    -- The version of the rules that it was opened by.
    rules INTEGER,
    state TEXT NOT NULL DEFAULT 'opened',
    acknowledged_at INTEGER,
    judged_at INTEGER,
    closed_at INTEGER,
    -- Whether anybody was told: unsaid, told, silenced or storm.
    told TEXT NOT NULL DEFAULT 'unsaid',
    told_at INTEGER,
    silence INTEGER
) STRICT;
-- Those that are there are told to nobody once more.
INSERT INTO incidents_of_both_kinds (incident, device, kind, detail, raised_at, told)
SELECT incident, device, kind, detail, raised_at, 'told' FROM incidents;
DROP TABLE incidents;
ALTER TABLE incidents_of_both_kinds RENAME TO incidents;
CREATE INDEX incidents_of_device ON incidents (device, kind);
-- Of the same thing in the same place, one is open at a time.
CREATE UNIQUE INDEX incidents_open ON incidents (kind, coalesce(model, ''), place, feature)
    WHERE place IS NOT NULL AND closed_at IS NULL;
CREATE INDEX incidents_unsaid ON incidents (incident) WHERE told IN ('unsaid', 'silenced');
CREATE INDEX incidents_told ON incidents (told_at);
CREATE INDEX incidents_raised ON incidents (raised_at);

CREATE TABLE findings (
    finding INTEGER PRIMARY KEY,
    incident INTEGER NOT NULL,
    -- What it is known by: found once more, it is the same.
    digest BLOB NOT NULL UNIQUE,
    -- End of the window that completed it.
    at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    because TEXT NOT NULL,
    devices TEXT NOT NULL,
    rules INTEGER NOT NULL
) STRICT;
CREATE INDEX findings_of_incident ON findings (incident, finding);

-- What people decided about incidents, silences and requests, in its order.
CREATE TABLE said (
    said INTEGER PRIMARY KEY,
    -- incident, silence, request, rules or alert, and its number.
    about TEXT NOT NULL,
    number INTEGER NOT NULL,
    command TEXT NOT NULL,
    operator TEXT NOT NULL,
    reason TEXT NOT NULL,
    said_at INTEGER NOT NULL
) STRICT;
CREATE INDEX said_about ON said (about, number, said);

CREATE TABLE silences (
    silence INTEGER PRIMARY KEY,
    -- JSON.
    selector TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;

-- Kept for ever.
CREATE TABLE rules (
    number INTEGER PRIMARY KEY,
    digest BLOB NOT NULL,
    text TEXT NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;

-- What is to be sent, and what became of it: written together with what it tells of.
CREATE TABLE alerts (
    alert INTEGER PRIMARY KEY,
    -- Id of the event: webhooks know it by that.
    event TEXT NOT NULL,
    webhook TEXT NOT NULL,
    type TEXT NOT NULL,
    incident INTEGER,
    request INTEGER,
    body TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    -- When its tries began: moved by a replay.
    since_at INTEGER NOT NULL,
    -- pending, delivered or given_up.
    state TEXT NOT NULL DEFAULT 'pending',
    failed INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER NOT NULL,
    tried_at INTEGER,
    -- Why the last try failed.
    problem TEXT,
    UNIQUE (event, webhook)
) STRICT;
CREATE INDEX alerts_due ON alerts (webhook, next_at) WHERE state = 'pending';

CREATE TABLE retrain_requests (
    request INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    bundle BLOB NOT NULL,
    place TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'requested',
    because TEXT NOT NULL,
    rules INTEGER NOT NULL,
    -- As it was signed.
    document BLOB NOT NULL
) STRICT;
CREATE INDEX requests_of_model ON retrain_requests (model, request);
