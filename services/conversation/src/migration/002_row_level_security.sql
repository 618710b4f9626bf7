-- PostgreSQL shows and accepts only rows of the account that a transaction names (rule S2). An older binary names none and would
-- see no rows: stop it first. SQLite has no row-level security, and nothing changes.
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
