-- What a session has got as answers (references to the thread, a JSON array), how many wrong ones in a row, and how the branches of its
-- next turn were decided (a JSON object). The older binary still runs: it hands the chats of flows with steps that it does not know to the
-- team.
ALTER TABLE bot_sessions ADD COLUMN answers TEXT NOT NULL DEFAULT '[]';
ALTER TABLE bot_sessions ADD COLUMN wrong_answers BIGINT NOT NULL DEFAULT 0;
ALTER TABLE bot_sessions ADD COLUMN choices TEXT;
