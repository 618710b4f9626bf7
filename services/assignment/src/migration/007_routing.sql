-- Routing (rules A4 to A6): policies, the queue with the places that are reserved, and the turns of agents. The older binary still runs: it
-- routes nothing, and neither adds nor removes rows of the queue. `rules` is a JSON object.
CREATE TABLE routing_policies (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    rules TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    CONSTRAINT routing_policies_pk PRIMARY KEY (account_id, id)
);
CREATE INDEX routing_policies_by_name ON routing_policies (account_id, name, id);
{row_level_security routing_policies}

-- One row for each account in which a conversation ever waited. Its lock makes the decisions of the account serial, and is taken before rows
-- of the queue are changed. look_at: when routing looks at the account next. NULL: nothing waits. last_turn: number of conversations that
-- were routed.
CREATE TABLE routing_accounts (
    account_id UUID NOT NULL,
    look_at BIGINT,
    last_turn BIGINT NOT NULL,
    CONSTRAINT routing_accounts_pk PRIMARY KEY (account_id)
);
CREATE INDEX routing_accounts_looks ON routing_accounts (look_at) WHERE look_at IS NOT NULL;
{row_level_security routing_accounts}

-- The conversations that wait, each at the epoch in which it is unassigned. policy_id NULL: the default policy. State: 1 waiting,
-- 2 a place is reserved at agent_id, and the change of owner is repeated at check_at unless it is settled before, 3 it left routing.
CREATE TABLE routing_queue (
    account_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    epoch BIGINT NOT NULL,
    policy_id UUID,
    contact_owner_id UUID,
    waiting_since BIGINT NOT NULL,
    state INTEGER NOT NULL,
    agent_id UUID,
    check_at BIGINT,
    CONSTRAINT routing_queue_pk PRIMARY KEY (account_id, conversation_id)
);
CREATE INDEX routing_queue_heads ON routing_queue (account_id, policy_id, waiting_since, conversation_id) WHERE state = 1;
CREATE INDEX routing_queue_owners ON routing_queue (account_id, contact_owner_id, waiting_since) WHERE state = 1;
CREATE INDEX routing_queue_reserved ON routing_queue (account_id, agent_id) WHERE state = 2;
CREATE INDEX routing_queue_checks ON routing_queue (check_at) WHERE check_at IS NOT NULL;
{row_level_security routing_queue}

-- The last turn of each agent to whom a conversation was routed.
CREATE TABLE routing_turns (
    account_id UUID NOT NULL,
    agent_id UUID NOT NULL,
    turn BIGINT NOT NULL,
    CONSTRAINT routing_turns_pk PRIMARY KEY (account_id, agent_id)
);
{row_level_security routing_turns}
