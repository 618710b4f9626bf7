-- PostgreSQL shows and takes rows of the account that a transaction is for, and no others (rule S2). An older binary does not
-- say for which: it sees no row any more, so stop it first. SQLite has no such wall, and nothing changes.
{row_level_security outbox_events}
{row_level_security requests}
{row_level_security channels}
{row_level_security bots}
{row_level_security agents}
{row_level_security contacts}
{row_level_security contact_emails}
{row_level_security visitors}
{row_level_security conversations}
{row_level_security entries}
{row_level_security closes}
{row_level_security tickets}
