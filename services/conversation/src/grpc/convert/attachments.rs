//! Attachments, for the team and for visitors.

use frontdesk_clock::Time;
use frontdesk_proto::conversation::v1 as pb;

use super::id_or_empty;
use crate::{
    commands::Link,
    domain::{Attachment, AttachmentPolicy, AttachmentStatus, SentAttachment},
};

pub(crate) fn attachment(attachment: &Attachment) -> pb::Attachment {
    let status = match attachment.status {
        AttachmentStatus::Pending => pb::AttachmentStatus::Pending,
        AttachmentStatus::Ready => pb::AttachmentStatus::Ready,
        AttachmentStatus::Refused => pb::AttachmentStatus::Refused,
        // Callers do not get it.
        AttachmentStatus::Removing => pb::AttachmentStatus::Unspecified,
    };
    let refusal = match attachment.status {
        AttachmentStatus::Refused => pb::AttachmentRefusal::TypeNotAllowed,
        _ => pb::AttachmentRefusal::Unspecified,
    };
    pb::Attachment {
        id: attachment.id.to_string(),
        conversation_id: id_or_empty(attachment.conversation_id),
        status: status.into(),
        file_name: attachment.file_name.clone(),
        media_type: attachment.media_type.clone(),
        size_bytes: bytes(attachment.size),
        refusal: refusal.into(),
        create_time: Some(attachment.created_at.to_proto()),
        delete_time: attachment.deleted_at.map(Time::to_proto),
    }
}

pub(crate) fn upload_target(link: Link) -> pb::UploadTarget {
    let headers = [("content-type".to_owned(), "application/octet-stream".to_owned())];
    pb::UploadTarget { url: link.url, headers: headers.into(), expire_time: Some(link.expires_at.to_proto()) }
}

/// An attachment of a message, for the team and for the visitor.
pub(super) fn sent_attachment(sent: &SentAttachment) -> pb::SentAttachment {
    pb::SentAttachment {
        attachment_id: sent.attachment_id.to_string(),
        file_name: sent.file_name.clone(),
        media_type: sent.media_type.clone(),
        size_bytes: bytes(sent.size),
    }
}

pub(crate) fn attachment_limits(policy: &AttachmentPolicy) -> pb::AttachmentLimits {
    pb::AttachmentLimits { media_types: policy.media_types.clone(), max_size_bytes: bytes(policy.max_size) }
}

/// A size, which the settings limit to what the proto holds.
pub(super) fn bytes(size: i64) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}
