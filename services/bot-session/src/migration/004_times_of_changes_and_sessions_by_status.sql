-- When a bot was last changed, and when it was deleted; an index for lists of sessions by status. The older binary still runs and
-- leaves both times NULL: then a bot was last changed when it was created, and deleted when it was last changed.
ALTER TABLE bots ADD COLUMN updated_at BIGINT;
ALTER TABLE bots ADD COLUMN deleted_at BIGINT;
CREATE INDEX bot_sessions_by_status ON bot_sessions (account_id, status, started_at, id);
