-- PostgreSQL limits each transaction to the rows of its account (rule S2). An older binary does not set the account and sees
-- no rows, so stop it first. SQLite has no row-level security; nothing changes there.
{row_level_security outbox_events}
{row_level_security requests}
{row_level_security transcript_decisions}
{row_level_security deliveries}
{row_level_security delivery_mails}
{row_level_security senders}
{row_level_security mail_accounts}
