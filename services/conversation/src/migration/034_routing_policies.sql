-- The local copy of routing policies, by which a channel says that one that it names was deleted. The older binary still runs, and knows no
-- policy. A policy that a channel names already is copied at the policy's next change.
CREATE TABLE routing_policies (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    deleted BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT routing_policies_pk PRIMARY KEY (account_id, id)
);
{row_level_security routing_policies}
