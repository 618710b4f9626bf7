-- Places in queues (rules A6, C9): when the state of a conversation in its queue is published, what was published last (a JSON object), and how
-- fast each queue moves. The older binary still runs: what it adds to the queue is published by the newer one, and what it removes without
-- publishing does not match any more, because the conversation has another epoch or is closed. State 4: it has left the queue, and the row is
-- removed when that is published.
ALTER TABLE routing_queue ADD COLUMN publish_at BIGINT DEFAULT 0;
ALTER TABLE routing_queue ADD COLUMN published TEXT;
CREATE INDEX routing_queue_publications ON routing_queue (publish_at) WHERE publish_at IS NOT NULL;

-- Number of the events about the conversation's queue.
ALTER TABLE conversation_owners ADD COLUMN queue_version BIGINT NOT NULL DEFAULT 0;

-- How fast each queue moved lately. policy_id is the zero UUID for the default policy, and team_id where a queue is not that of one team.
CREATE TABLE queue_paces (
    account_id UUID NOT NULL,
    policy_id UUID NOT NULL,
    team_id UUID NOT NULL,
    samples INTEGER NOT NULL,
    mean_us BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    CONSTRAINT queue_paces_pk PRIMARY KEY (account_id, policy_id, team_id)
);
{row_level_security queue_paces}
