-- PostgreSQL shows and takes rows of the account that a transaction is for, and no others (rule S2). An older binary does not
-- say for which: it sees no row any more, so stop it first. SQLite has no such wall, and nothing changes.
{row_level_security outbox_events}
{row_level_security requests}
{row_level_security bots}
{row_level_security bot_sessions}
