-- Exports of contacts: jobs that have a file for some days; an older binary still runs, and pauses its work on jobs while one is due that
-- exports: upgrade all replicas before the first export. `object_id`, `size`, `sha256` and `expires_at`: the file, while there is one.
-- `failure`: why the last attempt failed, empty: none has.
ALTER TABLE contact_jobs ADD COLUMN object_id UUID;
ALTER TABLE contact_jobs ADD COLUMN size BIGINT NOT NULL DEFAULT 0;
ALTER TABLE contact_jobs ADD COLUMN sha256 TEXT NOT NULL DEFAULT '';
ALTER TABLE contact_jobs ADD COLUMN expires_at BIGINT;
ALTER TABLE contact_jobs ADD COLUMN failure TEXT NOT NULL DEFAULT '';
-- One export of a contact is in progress.
CREATE UNIQUE INDEX contact_jobs_one_running_export ON contact_jobs (account_id, contact_id)
WHERE kind = 'EXPORT' AND status = 'RUNNING';
