-- The roster and the history of owners. The first schema: there is no older binary.
CREATE TABLE agents (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    handle TEXT NOT NULL,
    email TEXT NOT NULL,
    active BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT agents_pk PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX agents_handle ON agents (account_id, handle);
CREATE UNIQUE INDEX agents_email ON agents (account_id, lower(email)) WHERE email <> '';
CREATE INDEX agents_by_name ON agents (account_id, name, id);

-- A period ends when the next epoch begins. The end is read from the next row and not stored, so that the order in which events
-- arrive does not matter. Kinds: 0 none, 1 agent, 2 bot, 3 system. Causes: 1 started, 2 by hand, 3 handed off, 4 reopened.
CREATE TABLE assignments (
    account_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    epoch BIGINT NOT NULL,
    owner_kind INTEGER NOT NULL,
    owner_id TEXT NOT NULL,
    by_kind INTEGER NOT NULL,
    by_id TEXT NOT NULL,
    cause INTEGER NOT NULL,
    started_at BIGINT NOT NULL,
    CONSTRAINT assignments_pk PRIMARY KEY (account_id, conversation_id, epoch)
);
