-- How conversations wait in the queues of routing, by the events of the assignment service (rules A6, C9). The older binary still runs: it
-- neither reads nor writes these tables. A row counts while the conversation has its epoch, is open and unassigned. team_ids is a JSON array.
CREATE TABLE queued_conversations (
    conversation_id UUID NOT NULL,
    account_id UUID NOT NULL,
    epoch BIGINT NOT NULL,
    waiting BOOLEAN NOT NULL,
    team_ids TEXT NOT NULL,
    version BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    CONSTRAINT queued_conversations_pk PRIMARY KEY (conversation_id)
);
CREATE INDEX queued_conversations_changes ON queued_conversations (account_id, changed_at, conversation_id);
{row_level_security queued_conversations}

-- The same teams as rows, for the inbox of a team: only of conversations that wait.
CREATE TABLE queued_conversation_teams (
    account_id UUID NOT NULL,
    team_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    epoch BIGINT NOT NULL,
    CONSTRAINT queued_conversation_teams_pk PRIMARY KEY (account_id, team_id, conversation_id)
);
CREATE INDEX queued_conversation_teams_of ON queued_conversation_teams (conversation_id);
{row_level_security queued_conversation_teams}
