-- Adds the templates of accounts, which replace the shipped ones. An older binary still runs; it mails the shipped ones. `words`: a JSON object
-- of texts by their names.
CREATE TABLE transcript_templates (
    account_id UUID NOT NULL,
    language TEXT NOT NULL,
    html TEXT NOT NULL,
    plain_text TEXT NOT NULL,
    words TEXT NOT NULL,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT transcript_templates_pk PRIMARY KEY (account_id, language)
);
{row_level_security transcript_templates}
