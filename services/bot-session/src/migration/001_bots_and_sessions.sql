-- Bots and their sessions. The first schema: there is no older binary.
CREATE TABLE bots (
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    name TEXT NOT NULL,
    timeout_us BIGINT,
    flow TEXT NOT NULL,
    deleted BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT bots_pk PRIMARY KEY (id)
);
CREATE INDEX bots_by_name ON bots (account_id, name, id);

-- No constraint limits a conversation to one open session: the conversation's row does, and the event that ends a
-- session may arrive here after the one that begins the next.
CREATE TABLE bot_sessions (
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    bot_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    status TEXT NOT NULL,
    flow TEXT NOT NULL,
    step_id TEXT,
    last_sequence BIGINT NOT NULL,
    turn BIGINT NOT NULL,
    timeout_us BIGINT,
    started_at BIGINT NOT NULL,
    deadline_at BIGINT,
    lease_until BIGINT,
    ended_at BIGINT,
    version BIGINT NOT NULL,
    CONSTRAINT bot_sessions_pk PRIMARY KEY (id)
);
CREATE INDEX bot_sessions_newest ON bot_sessions (account_id, started_at, id);
CREATE INDEX bot_sessions_of_conversation ON bot_sessions (account_id, conversation_id);
CREATE INDEX bot_sessions_of_bot ON bot_sessions (account_id, bot_id);
CREATE INDEX bot_sessions_due ON bot_sessions (deadline_at) WHERE status = 'OPEN' AND deadline_at IS NOT NULL;
