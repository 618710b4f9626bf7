//! Settings of the account, which only the team sees.

use frontdesk_clock::Time;
use frontdesk_proto::conversation::v1 as pb;

use super::{
    attachments::{attachment_limits, bytes},
    version,
};
use crate::domain::{AccountSettings, AttachmentPolicy};

/// `installation`: what it allows to attach. None: nothing.
pub(crate) fn settings(settings: AccountSettings, installation: Option<&AttachmentPolicy>) -> pb::Settings {
    let effective = installation.map(|installation| settings.attachment_policy(installation, false));
    pb::Settings {
        etag: settings.etag(),
        attachment_media_types: settings.attachment_media_types,
        max_attachment_size_bytes: settings.max_attachment_size.map(bytes).unwrap_or_default(),
        visitor_attachments_enabled: settings.visitor_attachments_enabled,
        transcripts_only_blocked_by_own_tickets: settings.own_tickets_only,
        effective_attachments: effective.as_ref().map(attachment_limits),
        installation_attachments: installation.map(attachment_limits),
        update_time: settings.updated_at.map(Time::to_proto),
        version: version(settings.version),
    }
}
