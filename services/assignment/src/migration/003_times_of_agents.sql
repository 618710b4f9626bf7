-- When an agent was last changed, and when they were deactivated. The older binary still runs. It writes neither: such an agent
-- counts as changed when they were created, and as deactivated when they were last changed. It shows a change of owner by an
-- administrator, kind 4 in assignments from now on, without its actor.
ALTER TABLE agents ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE agents ADD COLUMN deactivated_at BIGINT;
