-- DHT measurements: parsec's tables, and every hop of every operation beside them.

-- The first four have the names, the columns and the meaning of parsec's tables (github.com/probe-lab/parsec, migration 6). They are an
-- export schema: `duration` is in seconds and therefore the one column that is no integer. Moments are milliseconds since
-- the Unix epoch, lists and documents are JSON, addresses are text.

CREATE TABLE schedulers_ecs (
    id           INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    fleets       TEXT    NOT NULL,      -- array of names
    dependencies TEXT    NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE nodes_ecs (
    id             INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    cpu            INTEGER NOT NULL,
    memory         INTEGER NOT NULL,    -- megabytes
    peer_id        TEXT    NOT NULL,
    region         TEXT    NOT NULL,
    cmd            TEXT    NOT NULL,
    fleet          TEXT    NOT NULL,
    dependencies   TEXT    NOT NULL,
    ip_address     TEXT    NOT NULL,
    server_port    INTEGER NOT NULL CHECK (server_port BETWEEN -32768 AND 32767),
    peer_port      INTEGER NOT NULL CHECK (peer_port BETWEEN -32768 AND 32767),
    last_heartbeat INTEGER,
    offline_since  INTEGER,
    created_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE retrievals_ecs (
    id           INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    scheduler_id INTEGER NOT NULL REFERENCES schedulers_ecs (id) ON DELETE CASCADE,
    node_id      INTEGER NOT NULL REFERENCES nodes_ecs (id) ON DELETE CASCADE,
    rt_size      INTEGER NOT NULL,
    duration     REAL    NOT NULL,      -- seconds
    cid          TEXT    NOT NULL,
    error        TEXT,                  -- NULL where it succeeded
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE provides_ecs (
    id           INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    scheduler_id INTEGER NOT NULL REFERENCES schedulers_ecs (id) ON DELETE CASCADE,
    node_id      INTEGER NOT NULL REFERENCES nodes_ecs (id) ON DELETE CASCADE,
    rt_size      INTEGER NOT NULL,
    duration     REAL    NOT NULL,      -- seconds
    cid          TEXT    NOT NULL,
    error        TEXT,                  -- NULL where it succeeded
    created_at   INTEGER NOT NULL,
    step         TEXT    NOT NULL
) STRICT;

CREATE INDEX idx_provides_ecs_created_at ON provides_ecs (created_at);
CREATE INDEX idx_retrievals_ecs_created_at ON retrievals_ecs (created_at);

-- What was written once must not be written again when an acknowledgement was lost. Rounds have the id of their scheduler and the name
-- that it gave them; operations have 0 and the SHA-256 of what was written with them.

CREATE TABLE dht_batch (
    scheduler_id INTEGER NOT NULL,
    batch        TEXT    NOT NULL,
    PRIMARY KEY (scheduler_id, batch)
) STRICT, WITHOUT ROWID;

-- Hops come by the million: what repeats in them is named once, and words of closed lists are small integers.

CREATE TABLE dht_peer (
    id   INTEGER NOT NULL PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE        -- base58
) STRICT;

CREATE TABLE dht_text (
    id   INTEGER NOT NULL PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE        -- a fleet or a region
) STRICT;

CREATE TABLE dht_operation (
    id              INTEGER NOT NULL PRIMARY KEY,
    started_wall_ms INTEGER NOT NULL,
    duration_ns     INTEGER NOT NULL,   -- until the call returned
    stored_ns       INTEGER,            -- until the last confirmed record was seen to be stored
    rt_size         INTEGER NOT NULL,
    obs_series      INTEGER,            -- the observation that the operation is
    obs_seq         INTEGER,
    observer        INTEGER NOT NULL REFERENCES dht_peer (id),
    fleet           INTEGER NOT NULL REFERENCES dht_text (id),
    region          INTEGER NOT NULL REFERENCES dht_text (id),
    stored          INTEGER NOT NULL,   -- peers that were seen to have stored the record
    hops            INTEGER NOT NULL,   -- rows of dht_hop
    kind            INTEGER NOT NULL,   -- 0 dht.provide, 1 dht.retrieve
    variant         INTEGER NOT NULL,   -- 0 default, 1 optprov, 2 fullrt
    hit             INTEGER NOT NULL,   -- 0 local, 1 remote, 2 miss, 3 failed
    key             BLOB    NOT NULL,   -- bytes of the multihash
    error           TEXT,               -- NULL where it succeeded
    FOREIGN KEY (obs_series, obs_seq) REFERENCES obs (series, seq) ON DELETE CASCADE,
    CHECK ((obs_series IS NULL) = (obs_seq IS NULL))
) STRICT;

CREATE INDEX dht_operation_by_start ON dht_operation (started_wall_ms, id);
CREATE INDEX dht_operation_by_observation ON dht_operation (obs_series, obs_seq) WHERE obs_series IS NOT NULL;

-- Times are nanoseconds since the start of the operation, except dial, handshake and rtt, which are durations.
CREATE TABLE dht_hop (
    operation    INTEGER NOT NULL REFERENCES dht_operation (id) ON DELETE CASCADE,
    seq          INTEGER NOT NULL,
    peer         INTEGER NOT NULL REFERENCES dht_peer (id),
    queued_ns    INTEGER NOT NULL,
    dial_ns      INTEGER NOT NULL,
    handshake_ns INTEGER NOT NULL,
    sent_ns      INTEGER NOT NULL,
    ended_ns     INTEGER NOT NULL,
    rtt_ns       INTEGER,
    common_bits  INTEGER NOT NULL,      -- leading bits in common with the target
    learnt       INTEGER NOT NULL,      -- peers that were new to the lookup
    providers    INTEGER NOT NULL,      -- in the answer
    parent       INTEGER,               -- seq of the hop that told of the peer
    rpc          INTEGER NOT NULL,      -- 0 find_node, 1 get_providers, 2 add_provider, 3 confirm
    -- NULL where it succeeded; 0 timeout, 1 not_sent, 2 connect_failed, 3 connection_reset, 4 not_found, 5 wrong_bytes, 6 truncated,
    -- 7 rejected, 8 server_error, 9 quota_full, 10 unpaid, 11 protocol, 12 node_down, 13 abandoned
    failure      INTEGER,
    flags        INTEGER NOT NULL,      -- 1 wasted, 2 critical
    PRIMARY KEY (operation, seq)
) STRICT, WITHOUT ROWID;
