-- Row-level security: on PostgreSQL a transaction reads and writes only rows of its account (rule S2). The older binary
-- does not set an account and sees no rows: stop it first. SQLite has no row-level security, and nothing changes there.
{row_level_security outbox_events}
{row_level_security requests}
{row_level_security bots}
{row_level_security bot_sessions}
