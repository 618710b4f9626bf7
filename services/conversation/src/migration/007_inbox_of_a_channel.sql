-- Indexes only; an older binary still runs. The inbox of a channel is read for each status and channel, and that of a contact in
-- the order of its pages.
CREATE INDEX conversations_inbox_channel ON conversations (account_id, channel_id, status, last_activity_at, id);
CREATE INDEX conversations_inbox_contact ON conversations (account_id, contact_id, last_activity_at, id);
DROP INDEX conversations_of_contact;
