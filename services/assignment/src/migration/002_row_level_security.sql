-- On PostgreSQL a transaction sees and writes the rows of its account only (rule S2). An older binary does not set the account
-- and sees no row any more: stop it first. SQLite has no row-level security, and nothing changes.
{wall outbox_events}
{wall requests}
{wall agents}
{wall assignments}
