-- Evidence at rest. STRICT tables take integers, text and blobs only: a float is refused by the database itself.
-- Times are nanoseconds since the run's epoch; only run.started_wall_ms is a wall clock.

CREATE TABLE env (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    json        TEXT NOT NULL              -- the machine and the kind of build, without version and commit (those are the run's)
) STRICT;

CREATE TABLE party (
    id   TEXT NOT NULL PRIMARY KEY,        -- as series name it: a peer id, a process, 'network'
    kind TEXT NOT NULL,                    -- 'unknown', 'peer', 'process', 'network'
    name TEXT NOT NULL                     -- for people; empty where none was given
) STRICT;

CREATE TABLE run (
    id                   TEXT    NOT NULL PRIMARY KEY,
    kind                 TEXT    NOT NULL, -- the job: 'lab', 'monitor', 'dht', 'attest', ...
    name                 TEXT    NOT NULL, -- scenario or task
    scenario_fingerprint TEXT    NOT NULL,
    seed                 INTEGER NOT NULL, -- the bits of an unsigned 64-bit number
    version              TEXT    NOT NULL,
    "commit"             TEXT    NOT NULL,
    env                  TEXT    NOT NULL REFERENCES env (fingerprint),
    started_wall_ms      INTEGER NOT NULL CHECK (started_wall_ms >= 0),
    duration_ns          INTEGER          CHECK (duration_ns >= 0),
    state                TEXT    NOT NULL, -- 'started', 'succeeded', 'failed', 'aborted'
    validity             TEXT,             -- 'VALID', 'SUSPECT'
    result               TEXT,             -- JSON document; last, so that listing runs does not read it
    CHECK ((state = 'started') = (duration_ns IS NULL))
) STRICT;

CREATE INDEX run_by_start ON run (started_wall_ms, id);
CREATE INDEX run_by_name ON run (kind, name, started_wall_ms, id);

CREATE TABLE series (
    id              INTEGER NOT NULL PRIMARY KEY,
    run             TEXT    NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    phase           TEXT    NOT NULL,      -- part of the run; empty where it has none
    kind            TEXT    NOT NULL,
    class           TEXT    NOT NULL,
    observer        TEXT    NOT NULL REFERENCES party (id),
    subject         TEXT    NOT NULL REFERENCES party (id),
    observer_region TEXT    NOT NULL,
    subject_region  TEXT    NOT NULL,
    unit            TEXT    NOT NULL,
    env             TEXT    NOT NULL REFERENCES env (fingerprint),
    schema          INTEGER NOT NULL CHECK (schema >= 0),
    -- "Written once": describing the same series twice finds the first.
    UNIQUE (run, phase, kind, class, observer, subject, observer_region, subject_region, unit, env, schema)
) STRICT;

CREATE INDEX series_by_subject ON series (subject, kind);

CREATE TABLE hist (
    series  INTEGER NOT NULL REFERENCES series (id) ON DELETE CASCADE,
    t0_ns   INTEGER NOT NULL CHECK (t0_ns >= 0),
    t1_ns   INTEGER NOT NULL CHECK (t1_ns >= t0_ns),
    outcome TEXT    NOT NULL,              -- 'ok' or a failure class
    count   INTEGER NOT NULL CHECK (count >= 0),
    blob    BLOB    NOT NULL,              -- canonical HdrHistogram V2
    PRIMARY KEY (series, t0_ns, outcome)
) STRICT;

CREATE TABLE obs (
    series      INTEGER NOT NULL REFERENCES series (id) ON DELETE CASCADE,
    seq         INTEGER NOT NULL CHECK (seq >= 0),
    intended_ns INTEGER NOT NULL CHECK (intended_ns >= 0),
    started_ns  INTEGER NOT NULL CHECK (started_ns >= 0),
    ended_ns    INTEGER NOT NULL CHECK (ended_ns >= 0),
    bytes       INTEGER NOT NULL CHECK (bytes >= 0),
    value       INTEGER NOT NULL,
    outcome     TEXT    NOT NULL,          -- 'ok' or 'failed'
    class       TEXT,                      -- of a failure
    culprit     TEXT,                      -- of a failure
    trace       INTEGER NOT NULL,          -- the bits of an unsigned 64-bit number
    PRIMARY KEY (series, seq),
    CHECK ((outcome = 'ok') = (class IS NULL) AND (class IS NULL) = (culprit IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    run   TEXT    NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    seq   INTEGER NOT NULL CHECK (seq >= 0),
    at_ns INTEGER NOT NULL CHECK (at_ns >= 0),
    json  TEXT    NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

-- The newest run of each kind and name that came to its end; an aborted run is no standard to compare with.
CREATE VIEW latest_run AS
SELECT r.*
FROM run r
WHERE r.state IN ('succeeded', 'failed')
  AND NOT EXISTS (
    SELECT 1
    FROM run n
    WHERE n.kind = r.kind AND n.name = r.name AND n.state IN ('succeeded', 'failed')
      AND (n.started_wall_ms > r.started_wall_ms OR (n.started_wall_ms = r.started_wall_ms AND n.id > r.id))
  );

-- The observation with the highest number of each series.
CREATE VIEW latest_observation AS
SELECT o.*
FROM series s
JOIN obs o ON o.series = s.id AND o.seq = (SELECT max(m.seq) FROM obs m WHERE m.series = s.id);
