-- Since when the visitor waits for an answer; an older binary still runs, and leaves it as it is: until all replicas have this release,
-- a visitor may seem to wait who was answered. NULL: they do not wait.
ALTER TABLE conversations ADD COLUMN waiting_since BIGINT;
UPDATE conversations SET waiting_since = last_visitor_activity_at WHERE status = 'OPEN' AND (
    SELECT author_kind FROM entries WHERE entries.conversation_id = conversations.id AND content LIKE '{"type":"message",%'
    ORDER BY sequence DESC LIMIT 1) = 'VISITOR';
CREATE INDEX conversations_waiting ON conversations (account_id, waiting_since, id) WHERE waiting_since IS NOT NULL;
