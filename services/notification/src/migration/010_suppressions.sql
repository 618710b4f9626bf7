-- Adds the addresses that are not mailed any more, and what was reported about mails that came back. An older binary still runs: it adds and
-- looks up no such address. `address_hash`: hash of the account's address in lower case under `mail_accounts.suppression_key`.
CREATE TABLE suppressions (
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    address_hash {bytes} NOT NULL,
    reason TEXT NOT NULL,
    status_code TEXT NOT NULL,
    delivery_id UUID,
    created_at BIGINT NOT NULL,
    removed_at BIGINT,
    CONSTRAINT suppressions_pk PRIMARY KEY (id)
);
CREATE UNIQUE INDEX suppressions_address ON suppressions (account_id, address_hash) WHERE removed_at IS NULL;
CREATE INDEX suppressions_newest ON suppressions (account_id, created_at, id) WHERE removed_at IS NULL;
{row_level_security suppressions}

ALTER TABLE mail_accounts ADD COLUMN suppression_key {bytes};
ALTER TABLE deliveries ADD COLUMN bounce_kind TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN bounce_status_code TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN bounced_at BIGINT;
CREATE INDEX deliveries_of_message_id ON deliveries (account_id, message_id)
