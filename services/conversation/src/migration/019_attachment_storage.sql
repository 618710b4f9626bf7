-- Storage that attachments use, and files of the team that are deleted; an older binary still runs, counts nothing of what it creates and
-- removes, and lists deleted files. `used_bytes`: the sizes of the account's attachments that are PENDING or READY. `deleted_at`: when a file
-- of the team that messages have was deleted. `sent_at` of such a file is when it was sent first; an older binary does not set it.
ALTER TABLE attachments ADD COLUMN deleted_at BIGINT;
UPDATE attachments SET sent_at = created_at WHERE conversation_id IS NULL AND status = 'READY';
CREATE INDEX attachments_of_conversation ON attachments (conversation_id, created_at, id) WHERE conversation_id IS NOT NULL;
CREATE TABLE attachment_storage (
    account_id UUID NOT NULL CONSTRAINT attachment_storage_pk PRIMARY KEY,
    used_bytes BIGINT NOT NULL
);
INSERT INTO attachment_storage (account_id, used_bytes)
SELECT account_id, SUM(size) FROM attachments WHERE status IN ('PENDING', 'READY') GROUP BY account_id;
{row_level_security attachment_storage}
