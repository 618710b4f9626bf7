-- Conversations that go back from agents who were deactivated or vanished (rules A2, A7). The older binary still runs: it gives none back,
-- and knows no route. conversation_owners: how the conversation is routed, by the highest epoch of which that is known (route_epoch 0: it is
-- not), and when its current epoch began, if it began by going back.
ALTER TABLE conversation_owners ADD COLUMN route_epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversation_owners ADD COLUMN policy_id UUID;
ALTER TABLE conversation_owners ADD COLUMN team_id UUID;
ALTER TABLE conversation_owners ADD COLUMN contact_owner_id UUID;
ALTER TABLE conversation_owners ADD COLUMN given_back_at BIGINT;

-- The agents whose open conversations are looked at, because they were deactivated or vanished. due_at: when a replica looks next. after_id:
-- the last conversation of the page before. NULL: it begins with the first one.
CREATE TABLE agent_returns (
    account_id UUID NOT NULL,
    agent_id UUID NOT NULL,
    due_at BIGINT NOT NULL,
    after_id UUID,
    CONSTRAINT agent_returns_pk PRIMARY KEY (account_id, agent_id)
);
CREATE INDEX agent_returns_due ON agent_returns (due_at);
{row_level_security agent_returns}
