-- Routing policies of channels (rule A4). An older binary still runs: it keeps the column as it is, and routes none of its conversations.
ALTER TABLE channels ADD COLUMN routing_policy_id UUID;
