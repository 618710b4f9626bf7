-- Jobs that erase contacts, and the conversations of each; an older binary still runs, makes none and works on none. It reads an erased entry
-- as one of a later release. `missing_services` is a JSON list. `due_at`: when a worker next looks at the job, NULL: it waits for a
-- service, or is done.
CREATE TABLE contact_jobs (
    id UUID NOT NULL CONSTRAINT contact_jobs_pk PRIMARY KEY,
    account_id UUID NOT NULL,
    contact_id UUID NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    missing_services TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    own_part_done_at BIGINT,
    ended_at BIGINT,
    due_at BIGINT
);
CREATE INDEX contact_jobs_newest ON contact_jobs (account_id, created_at, id);
CREATE INDEX contact_jobs_of_contact ON contact_jobs (account_id, contact_id);
-- A contact is erased once.
CREATE UNIQUE INDEX contact_jobs_one_erasure ON contact_jobs (account_id, contact_id) WHERE kind = 'ERASURE';
CREATE INDEX contact_jobs_due ON contact_jobs (due_at) WHERE due_at IS NOT NULL;
{row_level_security contact_jobs}

-- `erased_until`: the entries up to this sequence are erased. `is_erased`: all of the conversation is.
CREATE TABLE contact_job_conversations (
    job_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    account_id UUID NOT NULL,
    erased_until BIGINT NOT NULL,
    is_erased BOOLEAN NOT NULL,
    CONSTRAINT contact_job_conversations_pk PRIMARY KEY (job_id, conversation_id)
);
CREATE INDEX contact_job_conversations_left ON contact_job_conversations (job_id, conversation_id) WHERE NOT is_erased;
{row_level_security contact_job_conversations}

