-- Ids of contacts that were erased, and of their conversations: a mail about them, for which the address was asked before, is not queued with
-- it. An older binary still runs, and does not look: erase contacts when all replicas have this release.
CREATE TABLE erased_ids (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    erased_at BIGINT NOT NULL,
    CONSTRAINT erased_ids_pk PRIMARY KEY (account_id, id)
);
{row_level_security erased_ids}
