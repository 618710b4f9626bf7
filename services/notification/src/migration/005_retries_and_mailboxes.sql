-- Adds the retries of an hour, to limit them, and the mailbox that an address leads to, by which mails to one recipient are counted.
-- An older binary still runs; mails and retries that it accepts meanwhile are not counted.
CREATE TABLE delivery_retries (
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    requested_by TEXT NOT NULL,
    mailbox TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT delivery_retries_pk PRIMARY KEY (id)
);
CREATE INDEX delivery_retries_newest ON delivery_retries (account_id, created_at);
{row_level_security delivery_retries}

ALTER TABLE deliveries ADD COLUMN mailbox TEXT NOT NULL DEFAULT '';
-- Older ones count towards no limit any more.
UPDATE deliveries SET mailbox = lower(recipient)
WHERE created_at > (SELECT max(created_at) FROM deliveries) - 86400000000;
DROP INDEX deliveries_to_recipient;
CREATE INDEX deliveries_to_mailbox ON deliveries (account_id, mailbox, created_at)
