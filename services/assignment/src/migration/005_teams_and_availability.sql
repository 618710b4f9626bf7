-- Capacities of agents, teams, availability (rule A7), and who owns which open conversations. The older binary still runs: its agents
-- have the default capacity. NULL: unlimited.
ALTER TABLE agents ADD COLUMN capacity INTEGER DEFAULT 5;

CREATE TABLE teams (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    external_id TEXT NOT NULL,
    member_count INTEGER NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    CONSTRAINT teams_pk PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX teams_name ON teams (account_id, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX teams_external_id ON teams (account_id, external_id) WHERE external_id <> '';
CREATE INDEX teams_by_name ON teams (account_id, name, id);
{row_level_security teams}

CREATE TABLE team_members (
    account_id UUID NOT NULL,
    team_id UUID NOT NULL,
    agent_id UUID NOT NULL,
    CONSTRAINT team_members_pk PRIMARY KEY (account_id, team_id, agent_id)
);
CREATE INDEX team_members_of_agent ON team_members (account_id, agent_id, team_id);
{row_level_security team_members}

-- Availability: 1 available, 2 away. A row exists once somebody set the agent's availability or their client sent a heartbeat.
CREATE TABLE agent_statuses (
    account_id UUID NOT NULL,
    agent_id UUID NOT NULL,
    chosen INTEGER NOT NULL,
    published INTEGER NOT NULL,
    changed_at BIGINT,
    heartbeat_at BIGINT,
    check_at BIGINT,
    version BIGINT NOT NULL,
    CONSTRAINT agent_statuses_pk PRIMARY KEY (account_id, agent_id)
);
CREATE INDEX agent_statuses_checks ON agent_statuses (check_at) WHERE check_at IS NOT NULL;
{row_level_security agent_statuses}

-- One row for each conversation of which an event or a change came: the agent who owns it, by the highest epoch, and whether it is open,
-- by the highest version of the conversation. agent_id NULL: no agent owns it.
CREATE TABLE conversation_owners (
    account_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    agent_id UUID,
    epoch BIGINT NOT NULL,
    open BOOLEAN NOT NULL,
    status_version BIGINT NOT NULL,
    CONSTRAINT conversation_owners_pk PRIMARY KEY (account_id, conversation_id)
);
CREATE INDEX conversation_owners_load ON conversation_owners (account_id, agent_id, open);
{row_level_security conversation_owners}
