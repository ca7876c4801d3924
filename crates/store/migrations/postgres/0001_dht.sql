-- What peermark keeps beside parsec's tables, in a schema of its own. Small integers stand for the words of closed lists: 0002_dht.sql
-- of the SQLite store lists them, and the columns mean the same there. Wide columns come first: rows are aligned to eight bytes.

CREATE TABLE peermark.schema_version (
    version INT NOT NULL PRIMARY KEY
);

CREATE TABLE peermark.dht_batch (
    scheduler_id INT  NOT NULL,
    batch        TEXT NOT NULL,
    PRIMARY KEY (scheduler_id, batch)
);

CREATE TABLE peermark.dht_peer (
    id   INT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE peermark.dht_text (
    id   INT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- Four bytes that every hop has twice: 2,147,483,647 operations with their hops would take some terabytes.
CREATE SEQUENCE peermark.dht_operation_id AS INT;

CREATE TABLE peermark.dht_operation (
    started_wall_ms BIGINT   NOT NULL,
    duration_ns     BIGINT   NOT NULL,
    stored_ns       BIGINT,
    rt_size         BIGINT   NOT NULL,
    obs_series      BIGINT,
    obs_seq         BIGINT,
    id              INT      NOT NULL PRIMARY KEY,
    observer        INT      NOT NULL REFERENCES peermark.dht_peer (id),
    fleet           INT      NOT NULL REFERENCES peermark.dht_text (id),
    region          INT      NOT NULL REFERENCES peermark.dht_text (id),
    stored          INT      NOT NULL,
    hops            INT      NOT NULL,
    kind            SMALLINT NOT NULL,
    variant         SMALLINT NOT NULL,
    hit             SMALLINT NOT NULL,
    key             BYTEA    NOT NULL,
    error           TEXT
);

CREATE INDEX dht_operation_by_start ON peermark.dht_operation (started_wall_ms, id);

-- common_bits, learnt and providers are the bits of unsigned 16-bit numbers: what is above 32767 looks negative.
CREATE TABLE peermark.dht_hop (
    queued_ns    BIGINT   NOT NULL,
    dial_ns      BIGINT   NOT NULL,
    handshake_ns BIGINT   NOT NULL,
    sent_ns      BIGINT   NOT NULL,
    ended_ns     BIGINT   NOT NULL,
    rtt_ns       BIGINT,
    operation    INT      NOT NULL REFERENCES peermark.dht_operation (id) ON DELETE CASCADE,
    peer         INT      NOT NULL REFERENCES peermark.dht_peer (id),
    seq          SMALLINT NOT NULL,
    common_bits  SMALLINT NOT NULL,
    learnt       SMALLINT NOT NULL,
    providers    SMALLINT NOT NULL,
    parent       SMALLINT,
    rpc          SMALLINT NOT NULL,
    failure      SMALLINT,
    flags        SMALLINT NOT NULL,
    PRIMARY KEY (operation, seq)
);

INSERT INTO peermark.schema_version (version) VALUES (1);
