-- The language of transcripts of a channel and of an account, a BCP 47 tag, and what both were at a close; empty: none. An older binary
-- still runs: it keeps those of channels and accounts, and closes without them.
ALTER TABLE channels ADD COLUMN language TEXT NOT NULL DEFAULT '';
ALTER TABLE account_settings ADD COLUMN language TEXT NOT NULL DEFAULT '';
ALTER TABLE closes ADD COLUMN channel_language TEXT NOT NULL DEFAULT '';
ALTER TABLE closes ADD COLUMN account_language TEXT NOT NULL DEFAULT '';
