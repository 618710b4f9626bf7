-- Opening hours; an older binary still runs and does not use them. `schedule` is a JSON object. `deleted_at` NULL: they are not deleted.
CREATE TABLE opening_hours (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    schedule TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    CONSTRAINT opening_hours_pk PRIMARY KEY (account_id, id)
);
CREATE INDEX opening_hours_by_name ON opening_hours (account_id, name, id);
{row_level_security opening_hours}
