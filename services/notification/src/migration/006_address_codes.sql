-- Adds the codes that verify addresses of visitors. An older binary still runs: it mails none, and leaves the deliveries of those that a
-- newer one queued. `subject`: hash of the visitor and the address in hexadecimal digits, so that the table holds neither.
CREATE TABLE address_codes (
    account_id UUID NOT NULL,
    subject TEXT NOT NULL,
    code_hash {bytes} NOT NULL,
    expires_at BIGINT NOT NULL,
    tries INTEGER NOT NULL,
    CONSTRAINT address_codes_pk PRIMARY KEY (account_id, subject)
);
CREATE INDEX address_codes_expired ON address_codes (account_id, expires_at);
{row_level_security address_codes}
