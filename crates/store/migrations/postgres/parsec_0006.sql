-- The tables of parsec (github.com/probe-lab/parsec) as its six migrations leave them on an empty database: an interface, so that its
-- schedulers, servers and dashboards work on the same database. Nothing here is ours to change.

-- No longer in use; they have to be there for parsec's way back to versions 1 to 4.

CREATE TABLE runs (
    id           INT         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dependencies JSONB       NOT NULL,
    started_at   TIMESTAMPTZ NOT NULL,
    finished_at  TIMESTAMPTZ,
    updated_at   TIMESTAMPTZ NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    CONSTRAINT runs_check CHECK (finished_at > started_at),
    CONSTRAINT runs_check1 CHECK (updated_at >= created_at)
);

CREATE TABLE nodes (
    id            INT         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    peer_id       TEXT        NOT NULL,
    run_id        INT         NOT NULL CONSTRAINT fk_nodes_run_id REFERENCES runs (id) ON DELETE SET NULL,
    region        TEXT        NOT NULL,
    instance_type TEXT        NOT NULL,
    dependencies  JSONB       NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL
);

CREATE TABLE retrievals (
    id         INT              GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_id    INT              NOT NULL CONSTRAINT fk_retrievals_node REFERENCES nodes (id),
    rt_size    INT              NOT NULL,
    duration   DOUBLE PRECISION NOT NULL,
    cid        TEXT             NOT NULL,
    error      TEXT,
    created_at TIMESTAMPTZ      NOT NULL
);

CREATE TABLE provides (
    id         INT              GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_id    INT              NOT NULL CONSTRAINT fk_provides_node REFERENCES nodes (id),
    rt_size    INT              NOT NULL,
    duration   DOUBLE PRECISION NOT NULL,
    cid        TEXT             NOT NULL,
    error      TEXT,
    created_at TIMESTAMPTZ      NOT NULL
);

CREATE INDEX idx_retrievals_created_at ON retrievals (created_at);
CREATE INDEX idx_provides_created_at ON provides (created_at);

-- In use. No column has a default: whoever writes says when.

CREATE TABLE schedulers_ecs (
    id           INT         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fleets       TEXT[]      NOT NULL,
    dependencies JSONB       NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL
);

CREATE TABLE nodes_ecs (
    id             INT         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cpu            INT         NOT NULL,
    memory         INT         NOT NULL,
    peer_id        TEXT        NOT NULL,
    region         TEXT        NOT NULL,
    cmd            TEXT        NOT NULL,
    fleet          TEXT        NOT NULL,
    dependencies   JSONB       NOT NULL,
    ip_address     INET        NOT NULL,
    server_port    SMALLINT    NOT NULL,
    peer_port      SMALLINT    NOT NULL,
    last_heartbeat TIMESTAMPTZ,
    offline_since  TIMESTAMPTZ,
    created_at     TIMESTAMPTZ NOT NULL
);

CREATE TABLE retrievals_ecs (
    id           INT              GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scheduler_id INT              NOT NULL
        CONSTRAINT fk_retrievals_ecs_scheduler_id REFERENCES schedulers_ecs (id) ON DELETE CASCADE,
    node_id      INT              NOT NULL
        CONSTRAINT fk_retrievals_ecs_node_id REFERENCES nodes_ecs (id) ON DELETE CASCADE,
    rt_size      INT              NOT NULL,
    duration     DOUBLE PRECISION NOT NULL, -- seconds
    cid          TEXT             NOT NULL,
    error        TEXT,                      -- NULL where it succeeded
    created_at   TIMESTAMPTZ      NOT NULL
);

CREATE TABLE provides_ecs (
    id           INT              GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scheduler_id INT              NOT NULL
        CONSTRAINT fk_provides_ecs_scheduler_id REFERENCES schedulers_ecs (id) ON DELETE CASCADE,
    node_id      INT              NOT NULL
        CONSTRAINT fk_provides_ecs_node_id REFERENCES nodes_ecs (id) ON DELETE CASCADE,
    rt_size      INT              NOT NULL,
    duration     DOUBLE PRECISION NOT NULL, -- seconds
    cid          TEXT             NOT NULL,
    error        TEXT,                      -- NULL where it succeeded
    created_at   TIMESTAMPTZ      NOT NULL,
    step         TEXT             NOT NULL  -- last, since a later migration added it
);

CREATE INDEX idx_provides_ecs_created_at ON provides_ecs (created_at);
CREATE INDEX idx_retrievals_ecs_created_at ON retrievals_ecs (created_at);
