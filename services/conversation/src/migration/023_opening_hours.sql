-- Opening hours of channels, and the local copy of them, which belong to another service. An older binary still runs, keeps the column as it
-- is, and creates channels without opening hours. `schedule` is a JSON object.
ALTER TABLE channels ADD COLUMN opening_hours_id UUID;
CREATE TABLE opening_hours (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    schedule TEXT NOT NULL,
    deleted BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT opening_hours_pk PRIMARY KEY (account_id, id)
);
{row_level_security opening_hours}
