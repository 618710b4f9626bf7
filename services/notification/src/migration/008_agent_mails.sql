-- Adds what agents want to be mailed, and what each mail to an agent is about. An older binary still runs: it mails agents nothing, and
-- leaves the deliveries that a newer one queued. `takes_more`: the mail is not composed, so what happens in its conversation joins it.
CREATE TABLE notification_preferences (
    account_id UUID NOT NULL,
    agent_id UUID NOT NULL,
    mentions BOOLEAN NOT NULL,
    assignments BOOLEAN NOT NULL,
    CONSTRAINT notification_preferences_pk PRIMARY KEY (account_id, agent_id)
);
{row_level_security notification_preferences}
CREATE TABLE agent_mails (
    delivery_id UUID NOT NULL,
    account_id UUID NOT NULL,
    agent_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    mentions INTEGER NOT NULL,
    assignments INTEGER NOT NULL,
    takes_more BOOLEAN NOT NULL,
    due_at BIGINT NOT NULL,
    CONSTRAINT agent_mails_pk PRIMARY KEY (delivery_id)
);
CREATE UNIQUE INDEX agent_mails_one_takes_more ON agent_mails (account_id, agent_id, conversation_id) WHERE takes_more;
CREATE INDEX agent_mails_newest ON agent_mails (account_id, agent_id, conversation_id, due_at);
CREATE INDEX agent_mails_oldest ON agent_mails (account_id, due_at);
{row_level_security agent_mails}
