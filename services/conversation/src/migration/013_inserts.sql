-- The library of inserts; an older binary still runs and does not use it, and shows the texts of messages that have inserts without
-- them. `tags` is a JSON list, `content` a JSON object.
CREATE TABLE inserts (
    id UUID NOT NULL CONSTRAINT inserts_pk PRIMARY KEY,
    account_id UUID NOT NULL,
    shortcut TEXT NOT NULL,
    title TEXT NOT NULL,
    tags TEXT NOT NULL,
    kind TEXT NOT NULL,
    content TEXT NOT NULL,
    search_text TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    version BIGINT NOT NULL
);
-- Of the inserts that are not deleted, one has a shortcut (rule C6).
CREATE UNIQUE INDEX inserts_shortcut ON inserts (account_id, shortcut) WHERE shortcut <> '' AND deleted_at IS NULL;
CREATE INDEX inserts_by_title ON inserts (account_id, title, id);
{row_level_security inserts}
