-- Indexes only; an older binary still runs. Conversations of unknown visitors have no row in the index by contact, which each message and each
-- change would write again. The stronger lock comes first: writers that wait between two locks of the table would be a deadlock.
DROP INDEX conversations_inbox_contact;
CREATE INDEX conversations_of_contact ON conversations (account_id, contact_id, last_activity_at, id) WHERE contact_id IS NOT NULL;
