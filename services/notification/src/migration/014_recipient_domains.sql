-- Adds the domain of a delivery's recipient, by which deliveries take turns, and an index of those that are due by account and domain. An older
-- binary still runs; its deliveries have no domain, and the mails that it sends take no turns. It leaves the domain when it erases a contact:
-- erase contacts when all replicas have this release.
ALTER TABLE deliveries ADD COLUMN recipient_domain TEXT NOT NULL DEFAULT '';
CREATE INDEX deliveries_in_turn ON deliveries (account_id, recipient_domain, due_at) WHERE state IN ('QUEUED', 'SENDING')
