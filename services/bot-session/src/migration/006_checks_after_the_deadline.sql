-- Finds the claims and pauses that are later than any of now can be, among those of a million sessions that wait for their deadline.
-- An older binary still runs.
CREATE INDEX bot_sessions_ask_after_deadline ON bot_sessions (ask_at) WHERE ask_at > deadline_at
