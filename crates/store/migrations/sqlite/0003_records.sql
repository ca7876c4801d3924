-- Sealed records (docs/formats/sealed.md): what was signed, beside the observation that it speaks of.

CREATE TABLE chain (
    id      INTEGER NOT NULL PRIMARY KEY,
    domain  TEXT    NOT NULL,
    network TEXT    NOT NULL,
    signer  BLOB    NOT NULL CHECK (length(signer) = 32),
    UNIQUE (domain, network, signer)
) STRICT;

-- Records of one topic resemble each other: each is compressed with the first one of its topic as a dictionary. Never changed or
-- deleted while a record may refer to it.
CREATE TABLE record_base (
    id    INTEGER NOT NULL PRIMARY KEY,
    chain INTEGER NOT NULL REFERENCES chain (id) ON DELETE CASCADE,
    topic TEXT    NOT NULL,
    bytes BLOB    NOT NULL,
    UNIQUE (chain, topic)
) STRICT;

-- The observation of a record is obs (series, seq); a record of which nothing was observed has no series.
CREATE TABLE record (
    chain    INTEGER NOT NULL REFERENCES chain (id) ON DELETE CASCADE,
    seq      INTEGER NOT NULL CHECK (seq > 0),
    kind     TEXT    NOT NULL,             -- what the payload is
    topic    TEXT    NOT NULL,             -- what it is about: a task
    status   TEXT    NOT NULL,             -- 'ok', 'failed', 'skipped', ...; empty where the kind has none
    ended_ms INTEGER NOT NULL CHECK (ended_ms >= 0), -- Unix, by the clock of the signer: not monotonic
    series   INTEGER          REFERENCES series (id) ON DELETE SET NULL,
    base     INTEGER          REFERENCES record_base (id), -- NULL where sealed holds the record as it is
    sealed   BLOB    NOT NULL,
    UNIQUE (chain, seq)
) STRICT;

CREATE INDEX record_by_status ON record (chain, topic, status, seq);
CREATE INDEX record_by_end ON record (chain, topic, ended_ms);

-- More codes of dht_operation.failure and dht_hop.failure, after those of 0002_dht.sql:
-- 14 busy, 15 program_missing, 16 not_permitted, 17 bad_output, 18 panicked, 19 unfit
