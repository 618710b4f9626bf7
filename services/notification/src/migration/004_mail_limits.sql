-- Adds an index to count the automatic transcripts of an account, the maximum size of a transcript whose mail was too large for the
-- mail server, and whether the address in the visitor's token could not be used. An older binary still runs; it neither counts nor
-- knows the maximum or the address.
CREATE INDEX deliveries_of_kind ON deliveries (account_id, kind, created_at);
ALTER TABLE deliveries ADD COLUMN max_transcript_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE transcript_decisions ADD COLUMN token_email_unusable BOOLEAN NOT NULL DEFAULT FALSE
