-- Conversations that wait for a team which a bot named, that return to their last owner, and whose visitors get a message outside of opening
-- hours (rules A4, B8, E4). The older binary still runs: it routes them by their policy alone, and posts no messages. notice_at: when the
-- message is posted again unless it is confirmed. noticed_until: the end of the closing for which it was posted.
ALTER TABLE routing_queue ADD COLUMN team_id UUID;
ALTER TABLE routing_queue ADD COLUMN last_owner_id UUID;
ALTER TABLE routing_queue ADD COLUMN notice_at BIGINT;
ALTER TABLE routing_queue ADD COLUMN noticed_until BIGINT;
CREATE INDEX routing_queue_of_teams ON routing_queue (account_id, policy_id, team_id, waiting_since, conversation_id) WHERE state = 1;
CREATE INDEX routing_queue_last_owners ON routing_queue (account_id, last_owner_id, waiting_since) WHERE state = 1;
