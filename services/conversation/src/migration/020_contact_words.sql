-- Searches find contacts by their telephone numbers: the words of those that have one are stored again by a replica of this release, in the
-- background. And the attachments of a contact are listed, by an index. An older binary still runs; it stores no words of telephone numbers, so
-- a contact that it indexes meanwhile is found by its number when it is next changed.
UPDATE contacts SET search_version = 0 WHERE phone <> '';
CREATE INDEX attachments_of_conversation ON attachments (conversation_id, created_at, id) WHERE sent_at IS NOT NULL
