-- The words of entries and contacts, for searches; an older binary still runs and does not use them. A replica of this release adds
-- what an older one writes. `word`: UTF-8, compared by its bytes on both databases.
CREATE TABLE search_words (
    account_id UUID NOT NULL,
    word {bytes} NOT NULL,
    conversation_id UUID NOT NULL,
    sequence BIGINT NOT NULL,
    CONSTRAINT search_words_pk PRIMARY KEY (account_id, word, conversation_id, sequence)
) {primary_key_only};
{row_level_security search_words}

-- Up to which entry the words of each conversation are stored. No row: of none.
CREATE TABLE search_marks (
    conversation_id UUID NOT NULL CONSTRAINT search_marks_pk PRIMARY KEY,
    account_id UUID NOT NULL,
    sequence BIGINT NOT NULL
);
{row_level_security search_marks}

CREATE TABLE contact_search_words (
    account_id UUID NOT NULL,
    word {bytes} NOT NULL,
    contact_id UUID NOT NULL,
    CONSTRAINT contact_search_words_pk PRIMARY KEY (account_id, word, contact_id)
) {primary_key_only};
CREATE INDEX contact_search_words_of ON contact_search_words (account_id, contact_id);
{row_level_security contact_search_words}

-- The version of the contact whose words are stored.
ALTER TABLE contacts ADD COLUMN search_version BIGINT NOT NULL DEFAULT 0;
CREATE INDEX contacts_without_words ON contacts (id) WHERE search_version < version;
