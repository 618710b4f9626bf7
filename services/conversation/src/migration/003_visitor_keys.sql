-- Keys for visitor tokens; an older binary still runs and does not use them. Their secrets are derived from the installation's
-- secret with the id secret_id, and are stored nowhere.
CREATE TABLE visitor_keys (
    channel_id UUID NOT NULL,
    number INTEGER NOT NULL,
    account_id UUID NOT NULL,
    secret_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ends_at BIGINT,
    CONSTRAINT visitor_keys_pk PRIMARY KEY (channel_id, number)
);
{row_level_security visitor_keys}
