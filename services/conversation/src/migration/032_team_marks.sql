-- How far the team has read each chat, by visitor sequences (0: nothing), for the visitor; an older binary still runs and does not raise
-- it.
ALTER TABLE visitor_marks ADD COLUMN team_read BIGINT NOT NULL DEFAULT 0;
