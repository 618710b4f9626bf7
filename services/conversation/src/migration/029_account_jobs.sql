-- The ends of accounts; an older binary still runs, and makes and works on none. `missing_services` is a JSON list. `erase_delay`: in
-- microseconds. `due_at`: when a worker next looks at the job, NULL: it waits for a service, or has ended. `object_id`, `size` and `sha256`:
-- the file of the export, while there is one.
CREATE TABLE account_jobs (
    id UUID NOT NULL CONSTRAINT account_jobs_pk PRIMARY KEY,
    account_id UUID NOT NULL,
    status TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    missing_services TEXT NOT NULL,
    state_version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    erase_delay BIGINT NOT NULL,
    erase_at BIGINT,
    ended_at BIGINT,
    due_at BIGINT,
    object_id UUID,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    failure TEXT NOT NULL
);
CREATE INDEX account_jobs_newest ON account_jobs (account_id, created_at, id);
CREATE INDEX account_jobs_due ON account_jobs (due_at) WHERE due_at IS NOT NULL;
-- An account ends once, unless its end was cancelled.
CREATE UNIQUE INDEX account_jobs_one ON account_jobs (account_id) WHERE status <> 'CANCELLED';
{row_level_security account_jobs}

-- The files of an account, those of conversations and of the team.
CREATE INDEX attachments_of_account ON attachments (account_id, id);
