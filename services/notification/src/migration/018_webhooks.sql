-- Adds endpoints of webhooks, the events that wait for them or were sent, and the order of the events of each aggregate. An older binary still
-- runs; it sends none, and events that only its consumers get are not sent. `event_types`: full names, one on a line; empty: all. `ahead`:
-- versions that arrived before one between.
CREATE TABLE webhook_endpoints (
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    event_types TEXT NOT NULL,
    ordered BOOLEAN NOT NULL,
    enabled BOOLEAN NOT NULL,
    disabled_by_failures BOOLEAN NOT NULL,
    failing_since BIGINT,
    secret_number INTEGER NOT NULL,
    secret_source TEXT NOT NULL,
    previous_secret_number INTEGER,
    previous_secret_source TEXT NOT NULL,
    previous_secret_ends_at BIGINT,
    event_version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    version BIGINT NOT NULL,
    CONSTRAINT webhook_endpoints_pk PRIMARY KEY (id)
);
CREATE INDEX webhook_endpoints_of_account ON webhook_endpoints (account_id, id);
CREATE INDEX webhook_endpoints_enabled ON webhook_endpoints (id) WHERE enabled AND deleted_at IS NULL;
{row_level_security webhook_endpoints}

CREATE TABLE webhook_deliveries (
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    endpoint_id UUID NOT NULL,
    event_id UUID NOT NULL,
    event_type TEXT NOT NULL,
    source TEXT NOT NULL,
    aggregate_id UUID NOT NULL,
    aggregate_version BIGINT NOT NULL,
    payload TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    claim BIGINT NOT NULL,
    claimed BOOLEAN NOT NULL,
    due_at BIGINT NOT NULL,
    response_status INTEGER NOT NULL,
    response_body TEXT NOT NULL,
    response_micros BIGINT NOT NULL,
    failure TEXT NOT NULL,
    traceparent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    attempted_at BIGINT,
    CONSTRAINT webhook_deliveries_pk PRIMARY KEY (id),
    CONSTRAINT webhook_deliveries_once UNIQUE (endpoint_id, event_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, due_at, id) WHERE status = 'QUEUED';
CREATE INDEX webhook_deliveries_in_order ON webhook_deliveries (endpoint_id, source, aggregate_id, aggregate_version)
    WHERE status = 'QUEUED';
CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (endpoint_id, created_at, id);
CREATE INDEX webhook_deliveries_of_account ON webhook_deliveries (account_id, created_at, id);
{row_level_security webhook_deliveries}

CREATE TABLE webhook_event_orders (
    account_id UUID NOT NULL,
    source TEXT NOT NULL,
    aggregate_id UUID NOT NULL,
    version BIGINT NOT NULL,
    ahead TEXT NOT NULL,
    waits_since BIGINT,
    updated_at BIGINT NOT NULL,
    CONSTRAINT webhook_event_orders_pk PRIMARY KEY (account_id, source, aggregate_id)
);
CREATE INDEX webhook_event_orders_oldest ON webhook_event_orders (updated_at);
{row_level_security webhook_event_orders}
