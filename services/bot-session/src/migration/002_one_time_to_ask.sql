-- ask_at is the time of the next check of a session: its deadline, or the end of the current claim, so that a claim
-- reads one index. The older binary does not run on it; there was no release.
ALTER TABLE bot_sessions RENAME COLUMN lease_until TO ask_at;
UPDATE bot_sessions SET ask_at = deadline_at WHERE status = 'OPEN';
DROP INDEX bot_sessions_due;
CREATE INDEX bot_sessions_ask ON bot_sessions (ask_at) WHERE status = 'OPEN' AND ask_at IS NOT NULL;
