-- The local copy of opening hours, on which flows branch; they belong to another service. An older binary still runs. `schedule` is a JSON
-- object.
CREATE TABLE opening_hours (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    schedule TEXT NOT NULL,
    deleted BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT opening_hours_pk PRIMARY KEY (account_id, id)
);
{row_level_security opening_hours}
