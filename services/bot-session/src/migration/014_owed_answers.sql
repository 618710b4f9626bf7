-- Whether a turn ended with the engine's answer, and when its visitor wrote last (rule B7). The older binary still runs and leaves both empty:
-- a stream at a new replica then also gets `turn_over` for a turn that was answered at an old one.
ALTER TABLE engine_turns ADD COLUMN answered BOOLEAN;
ALTER TABLE engine_turns ADD COLUMN visitor_active_at BIGINT;
