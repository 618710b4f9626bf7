-- Contacts that were merged into others, which their ids and external ids name since (rule X2a). An older binary still runs: it finds no
-- merged contact, and may give an external id of one to another contact. `other_values` is a JSON object.
CREATE TABLE merged_contacts (
    account_id UUID NOT NULL,
    source_id UUID NOT NULL,
    target_id UUID NOT NULL,
    external_id TEXT,
    other_values TEXT NOT NULL,
    merged_at BIGINT NOT NULL,
    CONSTRAINT merged_contacts_pk PRIMARY KEY (account_id, source_id)
);
-- An external id finds one contact of an account (rule X2).
CREATE UNIQUE INDEX merged_contacts_external_id ON merged_contacts (account_id, external_id);
CREATE INDEX merged_contacts_of ON merged_contacts (account_id, target_id, merged_at, source_id);
{row_level_security merged_contacts}
