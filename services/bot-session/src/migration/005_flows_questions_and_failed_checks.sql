-- Flows once for each version of their bot, which sessions name, instead of a copy in each session; the question that a session waits
-- at; the number of checks of a session that failed in a row. The older binary still runs; it cannot take turns of sessions that began
-- without a copy, and retries them.
CREATE TABLE bot_flows (
    bot_id UUID NOT NULL,
    version BIGINT NOT NULL,
    account_id UUID NOT NULL,
    flow TEXT NOT NULL,
    CONSTRAINT bot_flows_pk PRIMARY KEY (bot_id, version)
);
{row_level_security bot_flows}
ALTER TABLE bot_sessions ADD COLUMN flow_version BIGINT;
ALTER TABLE bot_sessions ADD COLUMN question_sequence BIGINT;
ALTER TABLE bot_sessions ADD COLUMN failed_checks BIGINT NOT NULL DEFAULT 0;
