-- When incidents close: by a clock that stands while nobody looks, or by a judgement. And the indexes
-- of what is asked every few seconds.

CREATE TABLE watch_clock (
    only INTEGER PRIMARY KEY CHECK (only = 0),
    -- Seconds in which the watch has looked at what came.
    seen_s INTEGER NOT NULL,
    -- Up to when it has, unix seconds.
    seen_until INTEGER NOT NULL
) STRICT;
-- Nobody knows for how long nobody looked before: the clock begins with the newest finding.
INSERT INTO watch_clock (only, seen_s, seen_until)
SELECT 0, coalesce(max(noted_at), 0), coalesce(max(noted_at), 0) FROM incidents;

-- What that clock showed when the newest finding was recorded.
ALTER TABLE incidents ADD COLUMN noted_seen_s INTEGER;
UPDATE incidents SET noted_seen_s = noted_at;
-- What a device said is closed when it was judged, and a repeat opens the next.
UPDATE incidents SET closed_at = judged_at
WHERE place IS NULL AND closed_at IS NULL AND state IN ('confirmed', 'dismissed');

CREATE INDEX incidents_quiet ON incidents (noted_seen_s)
    WHERE place IS NOT NULL AND closed_at IS NULL;
DROP INDEX incidents_unsaid;
CREATE INDEX incidents_unsaid ON incidents (incident)
    WHERE closed_at IS NULL AND state = 'opened' AND told IN ('unsaid', 'silenced');
