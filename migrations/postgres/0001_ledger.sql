-- The ledger: one row per record. Work is open while noticed > settled.
CREATE TABLE entity_mapping (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bridge          text NOT NULL,
    kind            text NOT NULL,
    source_id       text NOT NULL,
    dest_id         text,
    refs            jsonb NOT NULL DEFAULT '{}',
    hint            text,
    state           text NOT NULL,
    reason          text NOT NULL,
    noticed         bigint NOT NULL,
    settled         bigint NOT NULL,
    due_at          timestamptz NOT NULL,
    lane            text NOT NULL,
    trigger_type    text NOT NULL,
    actor           text NOT NULL,
    attempts        bigint NOT NULL DEFAULT 0,
    takes           bigint NOT NULL DEFAULT 0,
    source_checksum text,
    seen_checksum   text,
    dest_checksum   text,
    fields          jsonb,
    stamp           text,
    source_version  text,
    written_at      timestamptz,
    waits_for       text,
    -- Some record waits for this one: its next settlement in step must look for them.
    awaited         boolean NOT NULL DEFAULT false,
    lease_owner     text,
    lease_until     timestamptz,
    fence           bigint NOT NULL DEFAULT 0,
    published_at    timestamptz,
    noticed_at      timestamptz NOT NULL,
    settled_at      timestamptz
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
-- Taking and renewing a lease touches no indexed column, so those updates stay within their page (HOT).
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
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          uuid NOT NULL UNIQUE,
    row_id      bigint NOT NULL REFERENCES entity_mapping (id),
    fence       bigint NOT NULL,
    -- OPEN | DONE | UNDONE | SUPERSEDED
    status      text NOT NULL,
    live        boolean NOT NULL,
    step        jsonb NOT NULL,
    written     jsonb NOT NULL,
    stamp       text NOT NULL,
    answer_lost boolean NOT NULL DEFAULT false,
    effect      jsonb,
    opened_at   timestamptz NOT NULL,
    closed_at   timestamptz
) WITH (fillfactor = 90);
CREATE INDEX effect_journal_live ON effect_journal (row_id, seq) WHERE live;
CREATE INDEX effect_journal_closed ON effect_journal (closed_at) WHERE NOT live;

-- Everything that was done about any record, by month. The default partition takes what has no month of its own.
CREATE SEQUENCE sync_log_id_seq;
CREATE TABLE sync_log (
    id           bigint NOT NULL DEFAULT nextval('sync_log_id_seq'),
    started_at   timestamptz NOT NULL,
    duration_ms  bigint NOT NULL,
    bridge       text NOT NULL,
    kind         text NOT NULL,
    source_id    text NOT NULL,
    dest_id      text,
    -- SUCCESS | SKIPPED | FAILED
    status       text NOT NULL,
    state        text NOT NULL,
    reason       text NOT NULL,
    action       text,
    plan         jsonb,
    changes      jsonb NOT NULL,
    notes        jsonb NOT NULL,
    fault_code   text,
    attempt      bigint NOT NULL,
    stamp        text,
    trigger_type text NOT NULL,
    actor        text NOT NULL,
    PRIMARY KEY (id, started_at)
) PARTITION BY RANGE (started_at);
ALTER SEQUENCE sync_log_id_seq OWNED BY sync_log.id;
CREATE INDEX sync_log_started ON sync_log (started_at);
CREATE INDEX sync_log_status ON sync_log (status, started_at);
CREATE INDEX sync_log_trigger ON sync_log (trigger_type, started_at);
CREATE INDEX sync_log_record ON sync_log (bridge, kind, source_id, started_at);
CREATE TABLE sync_log_default PARTITION OF sync_log DEFAULT;

-- The inbox. Kept for a short time.
CREATE TABLE webhook_event (
    id          uuid PRIMARY KEY,
    received_at timestamptz NOT NULL,
    route       text NOT NULL,
    remote      text NOT NULL,
    event       text,
    kind_word   text,
    label       text,
    bridge      text,
    kind        text,
    source_id   text,
    note        text
);
CREATE INDEX webhook_event_received ON webhook_event (received_at);

-- Calls that came in a crowd, page by page, until they are entered. Left uncompressed and, where it
-- fits, in the row: it is read once, soon.
CREATE TABLE webhook_spool (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL,
    calls       bigint NOT NULL,
    -- JSON; as text, since nothing but the store looks into it.
    page        text NOT NULL,
    -- Later than received_at for what could not be entered.
    not_before  timestamptz NOT NULL
) WITH (toast_tuple_target = 8160, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
ALTER TABLE webhook_spool ALTER COLUMN page SET STORAGE EXTERNAL;

CREATE TABLE webhook_subscription (
    route    text PRIMARY KEY,
    last_at  timestamptz,
    accepted bigint NOT NULL DEFAULT 0,
    ignored  bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE value_mapping (
    bridge     text NOT NULL,
    typ        text NOT NULL,
    -- The normalized source value, for looking up; "source" is what a person typed.
    lookup     text NOT NULL,
    source     text NOT NULL,
    target     text NOT NULL,
    note       text,
    actor      text NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (bridge, typ, lookup)
);

CREATE TABLE schedule (
    bridge        text NOT NULL,
    job           text NOT NULL,
    enabled       boolean NOT NULL DEFAULT true,
    -- The period from the settings, and an operator's own that stands above it.
    every_ms      bigint,
    own_every_ms  bigint,
    next_at       timestamptz,
    watermark     text,
    page          text,
    lease_owner   text,
    lease_until   timestamptz,
    fence         bigint NOT NULL DEFAULT 0,
    run_id        uuid,
    PRIMARY KEY (bridge, job)
);

CREATE TABLE run (
    id          uuid PRIMARY KEY,
    bridge      text NOT NULL,
    job         text NOT NULL,
    owner       text NOT NULL,
    -- RUNNING | DONE | FAILED | ABANDONED
    status      text NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    noticed     bigint NOT NULL DEFAULT 0,
    seen        bigint NOT NULL DEFAULT 0,
    error       text
);
CREATE INDEX run_started ON run (started_at);

CREATE TABLE circuit (
    bridge    text PRIMARY KEY,
    reason    text NOT NULL,
    code      text NOT NULL,
    opened_at timestamptz NOT NULL,
    probe_at  timestamptz NOT NULL,
    failures  bigint NOT NULL
);

-- The names under which operators have always queried.
CREATE VIEW "SyncLog" AS
SELECT id,
       upper(replace(kind, '_', ''))                                                   AS "entityType",
       -- An imported contact comes from finance, whatever set the work going; a customer or a document never does.
       CASE WHEN kind = 'contact' THEN 'FINANCE_TO_CRM' ELSE 'CRM_TO_FINANCE' END      AS direction,
       status,
       trigger_type                                                                    AS "triggerType",
       source_id                                                                       AS "sourceEntityId",
       dest_id                                                                         AS "targetEntityId",
       action                                                                          AS "actionType",
       stamp                                                                           AS "transactionId",
       started_at                                                                      AS "startedAt",
       started_at + duration_ms * interval '1 millisecond'                             AS "completedAt",
       duration_ms                                                                     AS "durationMs",
       CASE WHEN status = 'FAILED' THEN reason END                                     AS "errorMessage",
       fault_code                                                                      AS "errorCode",
       -- The first try is no retry; what a person did is no try at all.
       greatest(attempt - 1, 0)                                                        AS "retryCount",
       changes                                                                         AS "changes",
       bridge,
       state,
       reason,
       actor
FROM sync_log;

CREATE VIEW "EntityMapping" AS
SELECT id,
       upper(replace(kind, '_', '')) AS "entityType",
       source_id                     AS "crmId",
       dest_id                       AS "financeId",
       stamp                         AS "lastSyncTransactionId",
       source_checksum               AS "crmChecksum",
       dest_checksum                 AS "financeChecksum",
       noticed_at                    AS "crmUpdatedAt",
       written_at                    AS "financeUpdatedAt",
       bridge,
       state,
       reason,
       settled_at                    AS "updatedAt"
FROM entity_mapping
-- An imported contact is listed once, as the customer that it became.
WHERE dest_id IS NOT NULL AND kind <> 'contact';

CREATE VIEW "WebhookSubscription" AS
SELECT route,
       last_at  AS "lastReceivedAt",
       accepted AS "acceptedCount",
       ignored  AS "ignoredCount",
       rejected AS "rejectedCount"
FROM webhook_subscription;
