-- The agent who looks after a contact, and the contact's language; an older binary still runs and changes neither.
ALTER TABLE contacts ADD COLUMN language TEXT NOT NULL DEFAULT '';
ALTER TABLE contacts ADD COLUMN owner_agent_id UUID;
