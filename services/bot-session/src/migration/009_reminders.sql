-- When a session reminds its visitor before the timeout, and of which deadline it has. An older binary still runs: it reminds nobody of
-- sessions that it starts, and checks those of this one once more before their deadline.
ALTER TABLE bot_sessions ADD COLUMN reminder_before_us BIGINT;
ALTER TABLE bot_sessions ADD COLUMN reminded_of_at BIGINT;
