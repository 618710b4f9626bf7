-- Origins of the pages that may create anonymous visitors, as a JSON list; NULL: the channel has none. An older binary still runs and
-- leaves the column as it is.
ALTER TABLE channels ADD COLUMN anonymous_origins TEXT;
