-- Adds the time of a sender's last change, and an index of deliveries by status. An older binary still runs; it does not change
-- the time.
ALTER TABLE senders ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
UPDATE senders SET updated_at = created_at;
CREATE INDEX deliveries_of_status ON deliveries (account_id, state, created_at, id)
