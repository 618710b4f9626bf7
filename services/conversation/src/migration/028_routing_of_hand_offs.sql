-- The routing policy by which chats wait that the bot of a channel hands off. The older binary still runs: it uses the default one.
ALTER TABLE channels ADD COLUMN hand_off_policy_id UUID;
