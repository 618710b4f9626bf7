-- Claims of due sessions: a row for each batch that a replica asks about, where each session was changed before. The older binary still runs: it
-- claims sessions by the time of their next check, and may ask a second time about those that this one has claimed. `session_ids` is a JSON
-- array.
CREATE TABLE session_claims (
    id UUID NOT NULL,
    session_ids TEXT NOT NULL,
    ends_at BIGINT NOT NULL,
    CONSTRAINT session_claims_pk PRIMARY KEY (id)
);
