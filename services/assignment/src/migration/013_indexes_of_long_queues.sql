-- Indexes for long queues (rules A4, A6): the teams of queues, visitors without the message of a closing, and messages that are not confirmed.
-- The older binary still runs: it does not use them. The index that goes is the beginning of `routing_queue_of_teams` for queues without
-- teams, and no statement of either binary needs it. routing_accounts: a row whose last_turn is -1 is of an account in which nothing ever
-- waited; the older binary counts turns from there.
DROP INDEX routing_queue_heads;
CREATE INDEX routing_queue_teams ON routing_queue (account_id, team_id) WHERE state = 1 AND team_id IS NOT NULL;
CREATE INDEX routing_queue_notices
    ON routing_queue (account_id, policy_id, team_id, noticed_until, waiting_since, conversation_id) WHERE state = 1;
CREATE INDEX routing_queue_unconfirmed ON routing_queue (account_id, notice_at) WHERE state = 1 AND notice_at IS NOT NULL;
