-- When each read mark changed, for watches of the inbox that resume; an older binary still runs, and its marks have the time 0.
ALTER TABLE read_marks ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX read_marks_changed ON read_marks (account_id, agent_id, changed_at, conversation_id);
