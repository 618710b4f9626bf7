-- PostgreSQL limits each transaction to the rows of its account (rule S2). An older binary does not set the account and sees
-- no rows, so stop it first. SQLite has no row-level security; nothing changes there.
{wall outbox_events}
{wall requests}
{wall transcript_decisions}
{wall deliveries}
{wall delivery_mails}
{wall senders}
{wall mail_accounts}
