-- Indexes of all rows of an account, for its export and erasure; an older binary still runs.
CREATE INDEX suppressions_of_account ON suppressions (account_id, id);
CREATE INDEX senders_of_account ON senders (account_id, id);
