-- What the widget gives at the start of a conversation, and the request ids of entries. An older binary still runs, stores none of
-- them, and cannot read the thread of a conversation that an administrator assigned since.
ALTER TABLE conversations ADD COLUMN visitor_name TEXT NOT NULL DEFAULT '';
ALTER TABLE conversations ADD COLUMN language TEXT NOT NULL DEFAULT '';
ALTER TABLE conversations ADD COLUMN time_zone TEXT NOT NULL DEFAULT '';
ALTER TABLE conversations ADD COLUMN properties TEXT NOT NULL DEFAULT '{}';
ALTER TABLE entries ADD COLUMN request_id TEXT;

-- The inbox is read for each status, and for each status and assignee.
CREATE INDEX conversations_inbox_owner ON conversations (account_id, status, assignee_id, last_activity_at, id);
DROP INDEX conversations_inbox_assignee;
DROP INDEX conversations_inbox;
