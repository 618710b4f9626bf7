-- Turns of bots that are programs of the customer's (rule B7), without texts. state: 1 waiting, 2 leased, 3 late, 4 over. The older binary
-- still runs: it reads an engine as a flow without steps, and hands its chats to the team.
CREATE TABLE engine_turns (
    id UUID NOT NULL,
    account_id UUID NOT NULL,
    bot_id UUID NOT NULL,
    session_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    number BIGINT NOT NULL,
    previous_sequence BIGINT NOT NULL,
    last_sequence BIGINT NOT NULL,
    newest_sequence BIGINT NOT NULL,
    state INTEGER NOT NULL,
    attempt BIGINT NOT NULL,
    parts BIGINT NOT NULL,
    stream_id UUID,
    due_at BIGINT,
    created_at BIGINT NOT NULL,
    take_timeout_us BIGINT NOT NULL,
    answer_timeout_us BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    CONSTRAINT engine_turns_pk PRIMARY KEY (id)
);
-- One turn of a session at a time.
CREATE UNIQUE INDEX engine_turns_open ON engine_turns (session_id) WHERE state <> 4;
CREATE UNIQUE INDEX engine_turns_number ON engine_turns (session_id, number);
CREATE INDEX engine_turns_waiting ON engine_turns (account_id, bot_id, created_at, id) WHERE state = 1;
CREATE INDEX engine_turns_of_stream ON engine_turns (stream_id) WHERE state = 2;
CREATE INDEX engine_turns_due ON engine_turns (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX engine_turns_age ON engine_turns (created_at);
CREATE INDEX engine_turns_of_account ON engine_turns (account_id, session_id);
{row_level_security engine_turns}
