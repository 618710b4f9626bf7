-- Attachments; an older binary still runs and does not use them, and shows the texts of messages that have attachments without them. The
-- bytes are in the object store under `<account_id>/<id>/<object_id>`. `conversation_id` NULL: a file of the team. `sha256`: in hexadecimal digits, and
-- `media_type`: empty until the bytes have arrived. `collect_at`: when the attachment is removed, NULL: it stays.
CREATE TABLE attachments (
    id UUID NOT NULL CONSTRAINT attachments_pk PRIMARY KEY,
    account_id UUID NOT NULL,
    conversation_id UUID,
    uploader_kind TEXT NOT NULL,
    uploader_id TEXT NOT NULL,
    status TEXT NOT NULL,
    file_name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    object_id UUID,
    created_at BIGINT NOT NULL,
    sent_at BIGINT,
    collect_at BIGINT
);
CREATE INDEX attachments_of_team ON attachments (account_id, created_at, id) WHERE conversation_id IS NULL;
CREATE INDEX attachments_unsent ON attachments (conversation_id) WHERE sent_at IS NULL;
CREATE INDEX attachments_due ON attachments (collect_at) WHERE collect_at IS NOT NULL;
{row_level_security attachments}
