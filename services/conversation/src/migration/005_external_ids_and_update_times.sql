-- External ids of contacts, the order of their addresses, and the times of changes. An older binary still runs: it sorts addresses
-- by its own rule, and what it writes has no time of the change.
ALTER TABLE channels ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN deleted_at BIGINT;
UPDATE channels SET updated_at = created_at;
UPDATE channels SET deleted_at = created_at WHERE deleted;

ALTER TABLE contacts ADD COLUMN external_id TEXT;
ALTER TABLE contacts ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
UPDATE contacts SET updated_at = created_at;
-- An external id belongs to one contact of an account (rule X2).
CREATE UNIQUE INDEX contacts_external_id ON contacts (account_id, external_id);

-- Place in the contact's list, 0, 1, 2 ...: verified addresses before typed ones, newer before older.
ALTER TABLE contact_emails ADD COLUMN position INTEGER NOT NULL DEFAULT 0;
UPDATE contact_emails SET position = (
    SELECT COUNT(*)
    FROM contact_emails AS earlier
    WHERE earlier.account_id = contact_emails.account_id
        AND earlier.contact_id = contact_emails.contact_id
        AND (
            earlier.verified > contact_emails.verified
            OR (
                earlier.verified = contact_emails.verified
                AND (
                    earlier.added_at > contact_emails.added_at
                    OR (earlier.added_at = contact_emails.added_at AND earlier.address < contact_emails.address)
                )
            )
        )
);

ALTER TABLE tickets ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
UPDATE tickets SET updated_at = created_at;
