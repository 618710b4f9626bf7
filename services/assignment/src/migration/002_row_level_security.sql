-- On PostgreSQL a transaction sees and writes the rows of its account only (rule S2). An older binary does not set the account
-- and sees no row any more: stop it first. SQLite has no row-level security, and nothing changes.
{row_level_security outbox_events}
{row_level_security requests}
{row_level_security agents}
{row_level_security assignments}
