-- Settings of an account; an account without a row has the defaults. An older binary still runs, and neither reads nor writes them: set
-- them when all replicas have this release. `attachment_media_types` is a JSON list, empty for those of the installation. `max_attachment_size`
-- NULL: the installation's. `updated_at` NULL, and `version` 0: they were never changed.
CREATE TABLE account_settings (
    account_id UUID NOT NULL CONSTRAINT account_settings_pk PRIMARY KEY,
    attachment_media_types TEXT NOT NULL,
    max_attachment_size BIGINT,
    visitor_attachments_enabled BOOLEAN NOT NULL,
    own_tickets_only BOOLEAN NOT NULL,
    updated_at BIGINT,
    version BIGINT NOT NULL
);
{row_level_security account_settings}
