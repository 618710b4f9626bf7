-- How far each agent has read each conversation; an older binary still runs and does not use it. No row: nothing is read.
CREATE TABLE read_marks (
    account_id UUID NOT NULL,
    agent_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    sequence BIGINT NOT NULL,
    CONSTRAINT read_marks_pk PRIMARY KEY (account_id, agent_id, conversation_id)
);
{row_level_security read_marks}
