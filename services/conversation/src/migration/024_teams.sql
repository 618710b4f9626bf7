-- The local copy of teams and their members, by which an inbox lists the conversations of a team (rule C9). The older binary still runs,
-- and knows no team. `version` is the team's on the roster, `membership` counts the changes of its members here.
CREATE TABLE teams (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    version BIGINT NOT NULL,
    membership BIGINT NOT NULL,
    CONSTRAINT teams_pk PRIMARY KEY (account_id, id)
);
{row_level_security teams}
CREATE TABLE team_members (
    account_id UUID NOT NULL,
    team_id UUID NOT NULL,
    agent_id UUID NOT NULL,
    CONSTRAINT team_members_pk PRIMARY KEY (account_id, team_id, agent_id)
);
{row_level_security team_members}
