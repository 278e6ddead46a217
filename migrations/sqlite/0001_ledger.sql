-- Times are microseconds since 1970, JSON is text.

-- The ledger: one row per record. Work is open while noticed > settled.
CREATE TABLE entity_mapping (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    bridge          TEXT NOT NULL,
    kind            TEXT NOT NULL,
    source_id       TEXT NOT NULL,
    dest_id         TEXT,
    refs            TEXT NOT NULL DEFAULT '{}',
    hint            TEXT,
    state           TEXT NOT NULL,
    reason          TEXT NOT NULL,
    noticed         INTEGER NOT NULL,
    settled         INTEGER NOT NULL,
    due_at          INTEGER NOT NULL,
    lane            TEXT NOT NULL,
    trigger_type    TEXT NOT NULL,
    actor           TEXT NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    takes           INTEGER NOT NULL DEFAULT 0,
    source_checksum TEXT,
    seen_checksum   TEXT,
    dest_checksum   TEXT,
    fields          TEXT,
    stamp           TEXT,
    source_version  TEXT,
    written_at      INTEGER,
    waits_for       TEXT,
    -- Some record waits for this one: its next settlement in step must look for them.
    awaited         BOOLEAN NOT NULL DEFAULT 0,
    lease_owner     TEXT,
    lease_until     INTEGER,
    fence           INTEGER NOT NULL DEFAULT 0,
    published_at    INTEGER,
    noticed_at      INTEGER NOT NULL,
    settled_at      INTEGER
);
CREATE UNIQUE INDEX entity_mapping_source ON entity_mapping (bridge, kind, source_id);
CREATE UNIQUE INDEX entity_mapping_dest ON entity_mapping (bridge, kind, dest_id) WHERE dest_id IS NOT NULL;
CREATE INDEX entity_mapping_open ON entity_mapping (bridge, lane, due_at) WHERE noticed > settled;
CREATE INDEX entity_mapping_published ON entity_mapping (bridge, published_at) WHERE noticed > settled AND lane = 'bulk' AND published_at IS NOT NULL;
-- What the sweep has to publish: few rows, however many are open and wait in a lane.
CREATE INDEX entity_mapping_unpublished ON entity_mapping (bridge, lane, due_at) WHERE noticed > settled AND (published_at IS NULL OR published_at < due_at);
CREATE INDEX entity_mapping_waits ON entity_mapping (waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX entity_mapping_state ON entity_mapping (state, bridge, kind, id);

-- Every write, written down before it goes out. live = it still counts for what comes next with its record.
CREATE TABLE effect_journal (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    row_id      INTEGER NOT NULL REFERENCES entity_mapping (id),
    fence       INTEGER NOT NULL,
    -- OPEN | DONE | UNDONE | SUPERSEDED
    status      TEXT NOT NULL,
    live        BOOLEAN NOT NULL,
    step        TEXT NOT NULL,
    written     TEXT NOT NULL,
    stamp       TEXT NOT NULL,
    answer_lost BOOLEAN NOT NULL DEFAULT 0,
    effect      TEXT,
    opened_at   INTEGER NOT NULL,
    closed_at   INTEGER
);
CREATE INDEX effect_journal_live ON effect_journal (row_id, seq) WHERE live;
CREATE INDEX effect_journal_closed ON effect_journal (closed_at) WHERE NOT live;

-- Everything that was done about any record.
CREATE TABLE sync_log (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    started_at   INTEGER NOT NULL,
    duration_ms  INTEGER NOT NULL,
    bridge       TEXT NOT NULL,
    kind         TEXT NOT NULL,
    source_id    TEXT NOT NULL,
    dest_id      TEXT,
    -- SUCCESS | SKIPPED | FAILED
    status       TEXT NOT NULL,
    state        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    action       TEXT,
    plan         TEXT,
    changes      TEXT NOT NULL,
    notes        TEXT NOT NULL,
    fault_code   TEXT,
    attempt      INTEGER NOT NULL,
    stamp        TEXT,
    trigger_type TEXT NOT NULL,
    actor        TEXT NOT NULL
);
CREATE INDEX sync_log_started ON sync_log (started_at);
CREATE INDEX sync_log_status ON sync_log (status, started_at);
CREATE INDEX sync_log_trigger ON sync_log (trigger_type, started_at);
CREATE INDEX sync_log_record ON sync_log (bridge, kind, source_id, started_at);

-- The inbox. Kept for a short time.
CREATE TABLE webhook_event (
    id          TEXT PRIMARY KEY,
    received_at INTEGER NOT NULL,
    route       TEXT NOT NULL,
    remote      TEXT NOT NULL,
    event       TEXT,
    kind_word   TEXT,
    label       TEXT,
    bridge      TEXT,
    kind        TEXT,
    source_id   TEXT,
    note        TEXT
);
CREATE INDEX webhook_event_received ON webhook_event (received_at);

-- Calls that came in a crowd, page by page, until they are entered.
CREATE TABLE webhook_spool (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    -- JSON
    page        TEXT NOT NULL,
    -- Later than received_at for what could not be entered.
    not_before  INTEGER NOT NULL
);

CREATE TABLE webhook_subscription (
    route    TEXT PRIMARY KEY,
    last_at  INTEGER,
    accepted INTEGER NOT NULL DEFAULT 0,
    ignored  INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE value_mapping (
    bridge     TEXT NOT NULL,
    typ        TEXT NOT NULL,
    -- The normalized source value, for looking up; "source" is what a person typed.
    lookup     TEXT NOT NULL,
    source     TEXT NOT NULL,
    target     TEXT NOT NULL,
    note       TEXT,
    actor      TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (bridge, typ, lookup)
);

CREATE TABLE schedule (
    bridge        TEXT NOT NULL,
    job           TEXT NOT NULL,
    enabled       BOOLEAN NOT NULL DEFAULT 1,
    -- The period from the settings, and an operator's own that stands above it.
    every_ms      INTEGER,
    own_every_ms  INTEGER,
    next_at       INTEGER,
    watermark     TEXT,
    page          TEXT,
    lease_owner   TEXT,
    lease_until   INTEGER,
    fence         INTEGER NOT NULL DEFAULT 0,
    run_id        TEXT,
    PRIMARY KEY (bridge, job)
);

CREATE TABLE run (
    id          TEXT PRIMARY KEY,
    bridge      TEXT NOT NULL,
    job         TEXT NOT NULL,
    owner       TEXT NOT NULL,
    -- RUNNING | DONE | FAILED | ABANDONED
    status      TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    noticed     INTEGER NOT NULL DEFAULT 0,
    seen        INTEGER NOT NULL DEFAULT 0,
    error       TEXT
);
CREATE INDEX run_started ON run (started_at);

CREATE TABLE circuit (
    bridge    TEXT PRIMARY KEY,
    reason    TEXT NOT NULL,
    code      TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    probe_at  INTEGER NOT NULL,
    failures  INTEGER NOT NULL
);
