//! Attachments: files that are uploaded, to be sent with messages (rule C5).

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Actor, ActorKind, media_type_of_name, usual_media_type};

/// Maximum number of attachments of a chat that its visitor has uploaded and not sent.
pub(crate) const MAX_UNSENT: usize = 20;

/// How long the bytes of any file may take to arrive, beside what they take at [`MIN_RATE`].
const MIN_TIME_LIMIT: Duration = Duration::from_secs(30);
/// Rate at which bytes must arrive, and be read (bytes per second). A slower client holds a permit for too long.
const MIN_RATE: u64 = 32 * 1024;

/// How long this number of bytes may take to be transferred.
pub(crate) fn time_limit(bytes: i64) -> Duration {
    MIN_TIME_LIMIT + Duration::from_secs(u64::try_from(bytes).unwrap_or_default() / MIN_RATE)
}

/// An attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    /// The conversation that it was uploaded for. None: a file of the team.
    pub(crate) conversation_id: Option<Uuid>,
    pub(crate) uploader: Actor,
    pub(crate) status: AttachmentStatus,
    /// Without folders.
    pub(crate) file_name: String,
    /// The type of its bytes. Empty while they are awaited.
    pub(crate) media_type: String,
    /// Size in bytes.
    pub(crate) size: i64,
    /// SHA-256 of its bytes in hexadecimal digits. Empty unless READY.
    pub(crate) sha256: String,
    /// The object that has its bytes. None unless READY.
    pub(crate) object_id: Option<Uuid>,
    pub(crate) created_at: Time,
    /// When it was sent first. None: no message has it.
    pub(crate) sent_at: Option<Time>,
    /// When it is removed. None: it stays.
    pub(crate) collect_at: Option<Time>,
    /// When it was deleted.
    pub(crate) deleted_at: Option<Time>,
}

/// The status of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttachmentStatus {
    /// Its bytes are awaited.
    Pending,
    /// It can be sent.
    Ready,
    /// Its bytes are of a type that is not allowed.
    Refused,
    /// It is being removed: for callers it does not exist.
    Removing,
}

impl AttachmentStatus {
    /// As rows spell it: add, never rename.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Ready => "READY",
            Self::Refused => "REFUSED",
            Self::Removing => "REMOVING",
        }
    }
}

/// An attachment of a message. Stored as JSON: add, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentAttachment {
    pub(crate) attachment_id: Uuid,
    pub(crate) file_name: String,
    pub(crate) media_type: String,
    pub(crate) size: i64,
}

/// What may be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttachmentPolicy {
    /// The media types that are allowed.
    pub(crate) media_types: Vec<String>,
    /// Maximum size in bytes.
    pub(crate) max_size: i64,
    /// How long an attachment that is not sent is kept.
    pub(crate) keep_unsent: Duration,
}

/// Why a file is refused before its bytes are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileRefusal {
    /// It is of a type that is not allowed.
    Type { media_type: String, allowed: String },
    /// It has more than this many bytes.
    Size { max: i64 },
}

/// Why an attachment cannot be sent with a message, or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttachmentRejection {
    /// The sender has no such attachment for the conversation.
    Unknown,
    /// It has no bytes.
    NotReady(AttachmentStatus),
    /// It was sent before.
    AlreadySent,
    /// It was uploaded for a conversation, and a message has it.
    InMessage,
}

/// The bytes of an attachment, as they arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// The type that was found in them.
    pub(crate) media_type: String,
    /// Their SHA-256 in hexadecimal digits.
    pub(crate) sha256: String,
}

impl AttachmentPolicy {
    pub(crate) fn allows(&self, media_type: &str) -> bool {
        self.media_types.iter().any(|allowed| allowed == media_type)
    }

    /// Refuses a file by what is known before its bytes: its name, the type that its sender states (empty: none), and its size. An
    /// unknown extension says nothing.
    pub(crate) fn check(&self, file_name: &str, stated_type: &str, size: i64) -> Result<(), FileRefusal> {
        if size > self.max_size {
            return Err(FileRefusal::Size { max: self.max_size });
        }
        let stated = Some(stated_type).filter(|stated| !stated.is_empty());
        let is_refused = |stated: &&str| !self.allows(stated) && !self.allows(usual_media_type(stated));
        let refused = stated.into_iter().chain(media_type_of_name(file_name)).find(is_refused);
        match refused {
            Some(media_type) => {
                Err(FileRefusal::Type { media_type: media_type.to_owned(), allowed: self.media_types.join(", ") })
            }
            None => Ok(()),
        }
    }
}

impl Attachment {
    pub(crate) fn is_by_visitor(&self) -> bool {
        self.uploader.kind == ActorKind::Visitor
    }

    /// Whether the visitor of this chat uploaded it for the chat.
    pub(crate) fn is_by_visitor_of(&self, chat: Uuid) -> bool {
        self.is_by_visitor() && self.conversation_id == Some(chat)
    }

    /// Number of its bytes that count as stored, from when they are announced.
    pub(crate) fn counted_bytes(&self) -> i64 {
        match self.status {
            AttachmentStatus::Pending | AttachmentStatus::Ready => self.size,
            AttachmentStatus::Refused | AttachmentStatus::Removing => 0,
        }
    }

    /// Whether the team sees it: what a visitor uploads, once it is sent.
    pub(crate) fn is_visible_to_team(&self) -> bool {
        !self.is_by_visitor() || self.sent_at.is_some()
    }

    /// Its bytes have arrived, in this object if they are allowed. Changes nothing, and returns false, unless they are awaited.
    pub(crate) fn receive(
        &mut self,
        received: Received,
        object_id: Option<Uuid>,
        policy: &AttachmentPolicy,
        now: Time,
    ) -> bool {
        if self.status != AttachmentStatus::Pending {
            return false;
        }
        let is_allowed = object_id.is_some() && policy.allows(&received.media_type);
        self.media_type = received.media_type;
        if is_allowed {
            (self.status, self.sha256, self.object_id) = (AttachmentStatus::Ready, received.sha256, object_id);
        } else {
            self.status = AttachmentStatus::Refused;
        }
        // A file of the team stays.
        let stays = is_allowed && self.conversation_id.is_none();
        self.collect_at = (!stays).then(|| now.plus(policy.keep_unsent));
        true
    }

    /// Sends it with a message of the conversation. What was uploaded for a conversation is sent once, there, by the side that uploaded
    /// it; a file of the team is sent any number of times, by the team.
    pub(crate) fn send(
        &mut self,
        conversation: Uuid,
        by_visitor: bool,
        now: Time,
    ) -> Result<SentAttachment, AttachmentRejection> {
        let may_send = match self.conversation_id {
            Some(uploaded_for) => uploaded_for == conversation && self.is_by_visitor() == by_visitor,
            None => !by_visitor,
        };
        match self.status {
            AttachmentStatus::Removing => return Err(AttachmentRejection::Unknown),
            _ if !may_send || self.deleted_at.is_some() => return Err(AttachmentRejection::Unknown),
            AttachmentStatus::Ready => {}
            status => return Err(AttachmentRejection::NotReady(status)),
        }
        if self.conversation_id.is_some() && self.sent_at.is_some() {
            return Err(AttachmentRejection::AlreadySent);
        }
        self.sent_at.get_or_insert(now);
        self.collect_at = None;
        Ok(SentAttachment {
            attachment_id: self.id,
            file_name: self.file_name.clone(),
            media_type: self.media_type.clone(),
            size: self.size,
        })
    }

    /// Deletes it. What no message has is removed; a file of the team that messages have is theirs only. Returns whether that changes
    /// anything.
    pub(crate) fn delete(&mut self, now: Time) -> Result<bool, AttachmentRejection> {
        if self.conversation_id.is_some() && self.sent_at.is_some() {
            return Err(AttachmentRejection::InMessage);
        }
        if self.deleted_at.is_some() {
            return Ok(false);
        }
        self.deleted_at = Some(now);
        if self.sent_at.is_none() {
            (self.status, self.collect_at) = (AttachmentStatus::Removing, Some(now));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);
    const NOW: Time = Time(1_000_000);

    fn policy() -> AttachmentPolicy {
        AttachmentPolicy {
            media_types: vec!["image/png".into(), "application/pdf".into()],
            max_size: 100,
            keep_unsent: Duration::from_secs(60),
        }
    }

    fn pending(conversation_id: Option<Uuid>, uploader: Actor) -> Attachment {
        Attachment {
            id: Uuid::from_u128(7),
            account: AccountId(Uuid::from_u128(8)),
            conversation_id,
            uploader,
            status: AttachmentStatus::Pending,
            file_name: "a.png".into(),
            media_type: String::new(),
            size: 10,
            sha256: String::new(),
            object_id: None,
            created_at: Time(0),
            sent_at: None,
            collect_at: Some(Time(1)),
            deleted_at: None,
        }
    }

    fn received(media_type: &str) -> Received {
        Received { media_type: media_type.into(), sha256: "00".into() }
    }

    fn ready(conversation_id: Option<Uuid>, uploader: Actor) -> Attachment {
        let mut attachment = pending(conversation_id, uploader);
        attachment.receive(received("image/png"), Some(OTHER), &policy(), NOW);
        attachment
    }

    #[test]
    fn c5_a_file_is_refused_by_its_size_its_stated_type_or_its_name() {
        let policy = policy();
        assert_eq!(policy.check("a.png", "image/png", 100), Ok(()));
        assert_eq!(policy.check("without an extension", "", 1), Ok(()));
        assert_eq!(policy.check("a.pdf", "application/x-pdf", 1), Ok(()), "as some systems spell it");
        assert_eq!(policy.check("a.png", "", 101), Err(FileRefusal::Size { max: 100 }));
        for (name, stated, media_type) in
            [("a.exe", "", "application/vnd.microsoft.portable-executable"), ("a.png", "text/html", "text/html")]
        {
            let refused = policy.check(name, stated, 1).unwrap_err();
            let allowed = "image/png, application/pdf".to_owned();
            assert_eq!(refused, FileRefusal::Type { media_type: media_type.into(), allowed });
        }
    }

    #[test]
    fn c5_the_bytes_decide_and_only_once() {
        let mut attachment = ready(Some(CHAT), Actor::visitor("v"));
        assert_eq!((attachment.status, attachment.media_type.as_str()), (AttachmentStatus::Ready, "image/png"));
        let before = attachment.clone();
        assert!(!attachment.receive(received("text/html"), None, &policy(), NOW));
        assert_eq!(attachment, before);
        let mut refused = pending(None, Actor::agent(OTHER));
        assert!(refused.receive(received("text/html"), None, &policy(), NOW));
        assert_eq!((refused.status, refused.sha256.as_str()), (AttachmentStatus::Refused, ""));
        assert_eq!((attachment.object_id, refused.object_id), (Some(OTHER), None));
        assert_eq!(refused.collect_at, Some(NOW.plus(policy().keep_unsent)));
    }

    #[test]
    fn c5_an_upload_for_a_conversation_is_sent_once_by_its_side_and_a_file_of_the_team_any_number_of_times() {
        let mut upload = ready(Some(CHAT), Actor::visitor("v"));
        assert!(upload.collect_at.is_some());
        assert_eq!(upload.send(OTHER, true, NOW), Err(AttachmentRejection::Unknown));
        assert_eq!(upload.send(CHAT, false, NOW), Err(AttachmentRejection::Unknown));
        assert!(!upload.is_visible_to_team());
        assert!(upload.send(CHAT, true, NOW).is_ok());
        assert_eq!((upload.collect_at, upload.is_visible_to_team()), (None, true));
        assert_eq!(upload.send(CHAT, true, NOW), Err(AttachmentRejection::AlreadySent));

        let mut file = ready(None, Actor::agent(OTHER));
        assert_eq!(file.collect_at, None);
        assert_eq!(file.send(CHAT, true, NOW), Err(AttachmentRejection::Unknown), "visitors send no files of the team");
        for conversation in [CHAT, CHAT, OTHER] {
            assert!(file.send(conversation, false, NOW).is_ok());
        }
        let mut removed = Attachment { status: AttachmentStatus::Removing, ..file };
        assert_eq!(removed.send(CHAT, false, NOW), Err(AttachmentRejection::Unknown));
        let mut awaited = pending(Some(CHAT), Actor::visitor("v"));
        let not_ready = AttachmentRejection::NotReady(AttachmentStatus::Pending);
        assert_eq!(awaited.send(CHAT, true, NOW), Err(not_ready));
    }

    #[test]
    fn c5_what_no_message_has_is_removed_and_a_file_of_the_team_that_messages_have_stays_theirs() {
        let mut upload = ready(Some(CHAT), Actor::visitor("v"));
        let mut sent = upload.clone();
        sent.send(CHAT, true, NOW).unwrap();
        assert_eq!(sent.clone().delete(NOW), Err(AttachmentRejection::InMessage));
        assert_eq!((upload.delete(NOW), upload.status), (Ok(true), AttachmentStatus::Removing));
        assert_eq!((upload.collect_at, upload.counted_bytes(), sent.counted_bytes()), (Some(NOW), 0, 10));

        let mut file = ready(None, Actor::agent(OTHER));
        let mut unsent = file.clone();
        assert_eq!((unsent.delete(NOW), unsent.status), (Ok(true), AttachmentStatus::Removing));
        file.send(CHAT, false, NOW).unwrap();
        assert_eq!((file.delete(NOW), file.delete(NOW)), (Ok(true), Ok(false)));
        assert_eq!((file.status, file.collect_at, file.counted_bytes()), (AttachmentStatus::Ready, None, 10));
        assert_eq!(file.send(OTHER, false, NOW), Err(AttachmentRejection::Unknown));
    }
}
