-- Adds the addresses that a sender's mails name for replies, and for those who want no more mails. An older binary still runs; its mails name
-- neither.
ALTER TABLE senders ADD COLUMN reply_to TEXT NOT NULL DEFAULT '';
ALTER TABLE senders ADD COLUMN unsubscribe_to TEXT NOT NULL DEFAULT ''
