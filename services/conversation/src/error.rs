//! Errors of the service, and their mapping to gRPC.

use std::{fmt, time::Duration};

use frontdesk_api::{ApiError, FieldError};
use frontdesk_idempotency::ClaimError;
use frontdesk_proto::{conversation::v1::Reason, error::v1::Reason as SharedReason};
use sea_orm::DbErr;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::domain::{
    AccountJobStatus, AttachmentRejection, AttachmentStatus, CodeRefusal, ContactJobStatus, Conversation, FileRefusal,
    MergeLimit, MistypedProperty, NotAdmitted, Owner, OwnerKind, Rejection, SettingRefusal, StorageFull, StorageOwner,
    Taken,
};

/// Domain of the service's errors in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "conversation.frontdesk";

/// Why a call is rejected or fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConversationError {
    /// Fields that only the domain can judge.
    #[error("fields are wrong")]
    Fields(Vec<FieldError>),
    /// Absent, or not visible to the caller.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The contact was erased.
    #[error("the contact was erased")]
    ErasedContact,
    /// The request id was used for other content.
    #[error("the request_id was used for another request; choose a new one")]
    RequestIdReused,
    /// The domain rejected the change.
    #[error(transparent)]
    Rejected(Box<Rejected>),
    /// A channel names a bot that does not exist or was deleted.
    #[error("there is no such bot, or it was deleted; create one first")]
    BotUnknown,
    /// A channel names a sender address that does not exist or was deleted.
    #[error(
        "transcript_sender_id: the account has no such sender address, or it was deleted; create it first, or leave the field empty \
         for the account's fallback"
    )]
    SenderUnknown,
    /// The channel was deleted.
    #[error("the channel was deleted; the team can undelete it with UndeleteChannel")]
    ChannelDeleted,
    /// The channel admits no anonymous visitors, or not from this page.
    #[error("{}", not_admitted_message(.0))]
    NotAdmitted(NotAdmitted),
    /// An anonymous visitor asks for what only a known one may do.
    #[error("you are an anonymous visitor; call with a visitor token that your back end signed")]
    Anonymous,
    /// A mark names an entry beyond the last one.
    #[error("{field}: must be at most {last}, the number of the last entry")]
    MarkOutOfRange { field: &'static str, last: i64 },
    /// The visitor left too many addresses.
    #[error("you have left many addresses; try again in an hour")]
    TooManyAddresses { retry_after: Duration },
    /// The visitor asks for a code to an address that they did not type in the chat.
    #[error("you did not type this address in the chat; leave it with LeaveAddress first")]
    AddressNotTyped,
    /// The account does not mail the address any more.
    #[error(
        "no mail goes to this address any more, because mails to it came back or its owner does not want them; use another one"
    )]
    AddressSuppressed,
    /// Too many codes were mailed.
    #[error("many codes were mailed for you, to this address or for the account within an hour; try again later")]
    TooManyCodes { retry_after: Duration },
    /// The code that the visitor entered does not verify their address.
    #[error("{}", code_message(.0))]
    AddressCode(CodeRefusal),
    /// A comment mentions an agent who is not in the roster, or was deactivated. The name is empty if it is not known.
    #[error("mentions: {}", mentioned_message(.name))]
    MentionedAgent { agent: Uuid, name: String },
    /// The owner that is chosen for a contact is not in the roster, or was deactivated. The name is empty if it is not known.
    #[error("owner_agent_id: {}", owner_message(.name))]
    ContactOwner { agent: Uuid, name: String },
    /// The assignee that is chosen for a new conversation is not in the roster, or was deactivated. The name is empty if it is not known.
    #[error("assignee_agent_id: {}", owner_message(.name))]
    Assignee { agent: Uuid, name: String },
    /// Another insert has the shortcut.
    #[error("another insert of the account has that shortcut; its id is in insert_id")]
    ShortcutTaken { insert: Uuid },
    /// A message names an insert that does not exist or was deleted.
    #[error("insert_ids: the account has no insert with the id in insert_id, or it was deleted; leave it out")]
    InsertUnknown { insert: Uuid },
    /// A file is refused before its bytes are sent.
    #[error("{}", file_message(.0))]
    File(FileRefusal),
    /// A file would use more storage than there is.
    #[error("{}", storage_message(.0))]
    StorageFull(StorageFull),
    /// An attachment cannot be sent or deleted, or has no bytes.
    #[error("{}", attachment_message(.rejection))]
    Attachment { attachment: Uuid, rejection: AttachmentRejection },
    /// The chat has too many attachments that are not sent.
    #[error(
        "the chat has {limit} attachments that are not sent; send them, or wait until the first of them is removed"
    )]
    TooManyUnsent { limit: usize, retry_after: Duration },
    /// The installation has no public address.
    #[error(
        "files cannot be attached: the installation has no public address for uploads; its operator can set web.public_url"
    )]
    AttachmentsDisabled,
    /// Visitors of the account attach no files.
    #[error("visitors of this account attach no files; an administrator can change that with UpdateSettings")]
    VisitorAttachmentsDisabled,
    /// The installation does not allow the value of a setting.
    #[error("{}", setting_message(.0))]
    SettingNotAllowed(SettingRefusal),
    /// A property of a contact has another type.
    #[error("{}", mistyped_message(.0))]
    PropertyMistyped(MistypedProperty),
    /// A channel names opening hours that do not exist or were deleted.
    #[error(
        "opening_hours_id: the account has no such opening hours, or they were deleted; create them first, or leave the field empty"
    )]
    OpeningHoursUnknown,
    /// A channel names a routing policy that does not exist or was deleted.
    #[error("routing_policy_id: the account has no such routing policy, or it was deleted; create it first")]
    RoutingPolicyUnknown,
    /// The job has no file.
    #[error("{}", export_message(.0))]
    ExportNotReady(ContactJobStatus),
    /// The erasure of the account has begun.
    #[error("the erasure of the account has begun, or is done, and cannot be cancelled")]
    AccountErasureBegun(AccountJobStatus),
    /// The end of the account has no file.
    #[error("the job has no file: it is not written yet, or was removed; `status` says how far the job is")]
    AccountExportNotReady(AccountJobStatus),
    /// A link could not be signed.
    #[error("a link could not be signed: {0}")]
    Unsigned(String),
    /// The insert was deleted.
    #[error("the insert was deleted; undo it with UndeleteInsert")]
    InsertDeleted,
    /// Another contact has a value that only one contact of an account can have.
    #[error("{}", taken_message(.0))]
    Taken(Taken),
    /// A contact was merged into this one.
    #[error("a contact of the call was merged into the one in contact_id; read that one, and decide again")]
    ContactMerged { contact: Uuid },
    /// A merge would move more than one transaction may.
    #[error("{}", merge_limit_message(.0))]
    MergeTooLarge(MergeLimit),
    /// The resource of this kind was edited since the caller read it.
    #[error("the {0} was edited since you read it")]
    EtagMismatch(&'static str),
    /// The members of the team of a watched inbox changed.
    #[error("the members of the team changed; list the inbox again, and watch with its watch_cursor")]
    TeamChanged,
    /// A read begins after a number beyond the last one.
    #[error("the number to read after is beyond the last one, {last}")]
    CursorOutOfRange { last: i64 },
    /// Another service cannot be reached.
    #[error("the {0} service cannot be reached now; try again")]
    Unreachable(&'static str),
    /// Other transactions have had the conversation or the contact locked for too long; nothing was changed.
    #[error(
        "the conversation or contact is being changed for longer than expected; try again with the same request_id"
    )]
    Locked,
    /// The connection was lost: the call may have taken effect.
    #[error(
        "the database cannot be reached now; the call may have taken effect, so try again with the same request_id"
    )]
    DatabaseLost,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl ConversationError {
    /// A rejection that needs no state of a conversation to be understood.
    pub(crate) fn rejected(rejection: Rejection) -> Self {
        Self::Rejected(Box::new(Rejected { rejection, state: None }))
    }
}

/// A rejection with the current state of the conversation.
#[derive(Debug)]
pub(crate) struct Rejected {
    rejection: Rejection,
    state: Option<State>,
}

#[derive(Debug)]
struct State {
    conversation: Conversation,
    /// Empty: unknown.
    owner_name: String,
}

impl Rejected {
    /// The rejection of a change of this conversation, which has an owner of this name.
    pub(crate) fn new(rejection: Rejection, conversation: Conversation, owner_name: String) -> Self {
        Self { rejection, state: Some(State { conversation, owner_name }) }
    }
}

impl State {
    fn describe_owner(&self) -> String {
        let name = match self.conversation.owner {
            None => return "it is unassigned now".to_owned(),
            Some(_) if !self.owner_name.is_empty() => self.owner_name.as_str(),
            Some(Owner { kind: OwnerKind::Agent, .. }) => "an agent",
            Some(Owner { kind: OwnerKind::Bot, .. }) => "a bot",
        };
        format!("{name} owns it now")
    }
}

impl std::error::Error for Rejected {}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.state.as_ref().map(State::describe_owner).unwrap_or_default();
        let epoch = self.state.as_ref().map_or(0, |state| state.conversation.epoch);
        match self.rejection {
            Rejection::Closed => {
                f.write_str("the conversation is closed; a visitor can start a new one, an agent can reopen this one")
            }
            Rejection::BotInCharge => f.write_str("a bot is in charge; take the conversation over first"),
            Rejection::SessionNotInCharge => write!(f, "that bot session is not in charge; {owner}"),
            Rejection::VisitorActive => f.write_str("the visitor was active since that time"),
            Rejection::VisitorNotWaiting => f.write_str("the visitor does not wait for an answer"),
            Rejection::OwnerChanged => write!(f, "the owner changed; {owner}, at epoch {epoch}"),
            Rejection::AgentUnknown => f.write_str(
                "you are not on the account's roster; an administrator can create the agent with the id that is your \
                 token's subject",
            ),
            Rejection::AgentInactive => f.write_str(
                "you were deactivated on the account's roster; an administrator can undo it with ReactivateAgent",
            ),
            Rejection::ButtonNotOffered => f.write_str(
                "the newest message with buttons is another one, is answered, or does not offer that button",
            ),
            Rejection::NewerConversationOpen => {
                f.write_str("the visitor has a newer open conversation on this channel; go on there")
            }
            Rejection::ContactUnknown => f.write_str(
                "the conversation has no contact yet; create one with CreateContact, and link it with LinkContact",
            ),
            Rejection::ContactErased => {
                f.write_str("the contact of the conversation was erased; the conversation stays as it is")
            }
        }
    }
}

impl Rejected {
    fn into_api_error(self) -> ApiError {
        let (code, reason) = match self.rejection {
            Rejection::Closed => (Code::FailedPrecondition, Reason::ConversationClosed),
            Rejection::BotInCharge => (Code::FailedPrecondition, Reason::BotInCharge),
            Rejection::SessionNotInCharge => (Code::Aborted, Reason::BotSessionNotInCharge),
            Rejection::VisitorActive => (Code::Aborted, Reason::VisitorActive),
            Rejection::VisitorNotWaiting => (Code::FailedPrecondition, Reason::VisitorNotWaiting),
            Rejection::OwnerChanged => (Code::Aborted, Reason::OwnershipChanged),
            Rejection::AgentUnknown | Rejection::AgentInactive => (Code::FailedPrecondition, Reason::AgentNotActive),
            Rejection::ButtonNotOffered => (Code::FailedPrecondition, Reason::ButtonNotOffered),
            Rejection::NewerConversationOpen => (Code::FailedPrecondition, Reason::NewerConversationOpen),
            Rejection::ContactUnknown => (Code::FailedPrecondition, Reason::ContactUnknown),
            Rejection::ContactErased => (Code::FailedPrecondition, Reason::ContactErased),
        };
        let error = ApiError::new(code, DOMAIN, reason.as_str_name(), self.to_string());
        match (self.rejection, &self.state) {
            (Rejection::Closed, Some(State { conversation, .. })) => error
                .with("close_reason", conversation.close_reason.map_or("", |reason| reason.as_str()))
                .with("close_number", conversation.close_number),
            (
                Rejection::BotInCharge | Rejection::SessionNotInCharge | Rejection::OwnerChanged,
                Some(State { conversation, owner_name }),
            ) => {
                let error = error.with("epoch", conversation.epoch).with("status", conversation.status.as_str());
                // An unassigned conversation has none of these keys.
                match conversation.owner {
                    Some(owner) => error
                        .with("owner_kind", owner.kind.as_str())
                        .with("owner_id", owner.id)
                        .with("owner_name", owner_name),
                    None => error,
                }
            }
            _ => error,
        }
    }
}

impl From<ClaimError> for ConversationError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Reused => Self::RequestIdReused,
            ClaimError::Db(error) => Self::Db(error),
        }
    }
}

impl From<CodeRefusal> for ConversationError {
    fn from(refusal: CodeRefusal) -> Self {
        Self::AddressCode(refusal)
    }
}

fn code_message(refusal: &CodeRefusal) -> String {
    match refusal {
        CodeRefusal::Wrong { remaining } => {
            format!("the code is wrong, or not of the newest mail; {remaining} attempts are left")
        }
        CodeRefusal::Expired => {
            "no code was mailed to this address for you within 24 hours; ask for one with RequestAddressCode".to_owned()
        }
        CodeRefusal::UsedUp => {
            "too many wrong codes were entered; ask for another one with RequestAddressCode".to_owned()
        }
    }
}

fn export_message(status: &ContactJobStatus) -> &'static str {
    match status {
        ContactJobStatus::Running => "the job is in progress; try again when it is DONE",
        ContactJobStatus::Failed => "the export failed; its job says why; call ExportContact again",
        ContactJobStatus::Done => "the job has no file, or none any more; call ExportContact",
    }
}

fn not_admitted_message(why: &NotAdmitted) -> String {
    match why {
        NotAdmitted::Disabled => {
            "the channel has no anonymous visitors; let your back end sign a visitor token, or enable them with UpdateChannel".to_owned()
        }
        NotAdmitted::Origin(Some(origin)) => format!(
            "pages of {origin} may not create anonymous visitors of this channel; add the origin to allowed_origins with UpdateChannel"
        ),
        NotAdmitted::Origin(None) => {
            "the channel admits anonymous visitors from pages of certain origins only, and this call names none; browsers send it as \
             the header origin"
                .to_owned()
        }
    }
}

fn mentioned_message(name: &str) -> String {
    match name {
        "" => "the account has no agent with the id in agent_id; leave out the mention".to_owned(),
        name => format!("{name} was deactivated on the account's roster; leave out the mention"),
    }
}

fn owner_message(name: &str) -> String {
    match name {
        "" => "the account has no agent with that id; choose another one, or none".to_owned(),
        name => format!("{name} was deactivated on the account's roster; choose another agent, or none"),
    }
}

fn file_message(refusal: &FileRefusal) -> String {
    match refusal {
        FileRefusal::Type { media_type, allowed } => {
            format!("files of the type {media_type} cannot be attached; those that can: {allowed}")
        }
        FileRefusal::Size { max } => format!("the file is too large; at most {max} bytes can be attached"),
    }
}

fn storage_message(full: &StorageFull) -> String {
    let StorageFull { owner, max, used } = full;
    match owner {
        StorageOwner::Chat => format!(
            "the files of the visitor in this chat use {used} of {max} bytes, and this one has more than are left; delete what is not sent"
        ),
        StorageOwner::Account => format!(
            "the attachments of the account use {used} of {max} bytes, and this one has more than are left; delete files of the team, or \
             ask the operator to raise attachments.max_bytes_per_account"
        ),
    }
}

fn mistyped_message(mistyped: &MistypedProperty) -> String {
    let MistypedProperty { property, expected } = mistyped;
    format!(
        "properties: {property} {} in this account; UpdateSettings changes the types of properties",
        expected.remedy()
    )
}

fn setting_message(refusal: &SettingRefusal) -> String {
    match refusal {
        SettingRefusal::MediaType { media_type, allowed } => {
            format!("attachment_media_types: the installation does not allow {media_type}; it allows {allowed}")
        }
        SettingRefusal::Size { limit } => {
            format!("max_attachment_size_bytes: the installation allows at most {limit} bytes")
        }
    }
}

fn attachment_message(rejection: &AttachmentRejection) -> &'static str {
    match rejection {
        AttachmentRejection::Unknown => {
            "there is no attachment with the id in attachment_id that you can send in this conversation; leave it out"
        }
        AttachmentRejection::NotReady(AttachmentStatus::Refused) => {
            "the bytes of the attachment in attachment_id are of a type that is not allowed; leave it out"
        }
        AttachmentRejection::NotReady(_) => {
            "the attachment in attachment_id has no bytes yet; wait for the answer to its upload"
        }
        AttachmentRejection::AlreadySent => "the attachment in attachment_id was sent before; leave it out",
        AttachmentRejection::InMessage => {
            "the attachment in attachment_id was sent, and stays in its message; what is not sent can be deleted"
        }
    }
}

fn taken_message(taken: &Taken) -> &'static str {
    match taken {
        Taken::Email(_) => "another contact of the account has one of the addresses; its id is in contact_id",
        Taken::ExternalId(_) => "another contact of the account has that external id; its id is in contact_id",
    }
}

fn merge_limit_message(limit: &MergeLimit) -> String {
    let max = limit.max();
    match limit {
        MergeLimit::Emails => {
            format!("the contacts have more than {max} addresses together; remove some with UpdateContact first")
        }
        MergeLimit::Conversations | MergeLimit::Tickets | MergeLimit::Visitors => format!(
            "the source has more than {max} {}; merge the other contact into this one",
            limit.as_str().to_lowercase()
        ),
    }
}

impl From<ConversationError> for Status {
    fn from(conversation_error: ConversationError) -> Self {
        let message = conversation_error.to_string();
        let error = |code, reason: Reason| ApiError::new(code, DOMAIN, reason.as_str_name(), message.as_str());
        use ConversationError as E;
        match conversation_error {
            E::Fields(fields) => ApiError::fields(fields),
            E::NotFound(resource) => ApiError::not_found(resource, message),
            E::ErasedContact => ApiError::not_found("contact", message).with("erased", true),
            E::RequestIdReused => ApiError::request_id_reused(),
            E::Rejected(rejected) => rejected.into_api_error(),
            E::BotUnknown => error(Code::FailedPrecondition, Reason::BotUnknown),
            E::SenderUnknown => error(Code::FailedPrecondition, Reason::SenderUnknown),
            E::ChannelDeleted => error(Code::FailedPrecondition, Reason::ChannelDeleted),
            E::NotAdmitted(NotAdmitted::Disabled) => error(Code::FailedPrecondition, Reason::AnonymousVisitorsDisabled),
            E::NotAdmitted(NotAdmitted::Origin(origin)) => {
                error(Code::PermissionDenied, Reason::OriginNotAllowed).with("origin", origin.unwrap_or_default())
            }
            E::Anonymous => {
                ApiError::shared(Code::PermissionDenied, SharedReason::NotPermitted, message).with("kind", "visitor")
            }
            E::MarkOutOfRange { last, .. } => {
                ApiError::shared(Code::OutOfRange, SharedReason::CursorOutOfRange, message).with("last_sequence", last)
            }
            E::AddressNotTyped => error(Code::FailedPrecondition, Reason::AddressNotTyped),
            E::AddressSuppressed => error(Code::FailedPrecondition, Reason::EmailSuppressed),
            E::AddressCode(CodeRefusal::Wrong { remaining }) => {
                error(Code::FailedPrecondition, Reason::AddressCodeWrong).with("remaining_attempts", remaining)
            }
            E::AddressCode(CodeRefusal::Expired) => error(Code::FailedPrecondition, Reason::AddressCodeExpired),
            E::AddressCode(CodeRefusal::UsedUp) => error(Code::FailedPrecondition, Reason::AddressCodeUsedUp),
            E::TooManyAddresses { retry_after } | E::TooManyCodes { retry_after } => {
                ApiError::shared(Code::ResourceExhausted, SharedReason::RateLimited, message)
                    .with("whose", "caller")
                    .retry_after(retry_after)
            }
            E::MentionedAgent { agent, name } => error(Code::FailedPrecondition, Reason::MentionedAgentNotActive)
                .with("agent_id", agent)
                .with("agent_name", name),
            E::ContactOwner { agent, name } => error(Code::FailedPrecondition, Reason::ContactOwnerNotActive)
                .with("agent_id", agent)
                .with("agent_name", name),
            E::Assignee { agent, name } => error(Code::FailedPrecondition, Reason::AssigneeNotActive)
                .with("agent_id", agent)
                .with("agent_name", name),
            E::ShortcutTaken { insert } => error(Code::AlreadyExists, Reason::ShortcutTaken).with("insert_id", insert),
            E::InsertUnknown { insert } => {
                error(Code::FailedPrecondition, Reason::InsertUnknown).with("insert_id", insert)
            }
            E::File(FileRefusal::Type { media_type, allowed }) => {
                error(Code::FailedPrecondition, Reason::AttachmentTypeNotAllowed)
                    .with("media_type", media_type)
                    .with("allowed", allowed)
            }
            E::File(FileRefusal::Size { max }) => {
                error(Code::FailedPrecondition, Reason::AttachmentTooLarge).with("max_size_bytes", max)
            }
            E::StorageFull(full) => error(Code::ResourceExhausted, Reason::AttachmentStorageFull)
                .with("what", full.owner.as_str())
                .with("max_bytes", full.max)
                .with("used_bytes", full.used),
            E::Attachment { attachment, rejection } => {
                attachment_error(rejection, message).with("attachment_id", attachment)
            }
            E::TooManyUnsent { retry_after, .. } => {
                ApiError::shared(Code::ResourceExhausted, SharedReason::RateLimited, message)
                    .with("whose", "caller")
                    .retry_after(retry_after)
            }
            E::ExportNotReady(status) => {
                error(Code::FailedPrecondition, Reason::ContactExportNotReady).with("status", status.as_str())
            }
            E::AccountErasureBegun(status) => {
                error(Code::FailedPrecondition, Reason::AccountErasureBegun).with("status", status.as_str())
            }
            E::AccountExportNotReady(status) => {
                error(Code::FailedPrecondition, Reason::AccountExportNotReady).with("status", status.as_str())
            }
            E::Unsigned(error) => ApiError::internal(&error),
            E::AttachmentsDisabled => error(Code::FailedPrecondition, Reason::AttachmentsDisabled),
            E::VisitorAttachmentsDisabled => error(Code::FailedPrecondition, Reason::VisitorAttachmentsDisabled),
            E::SettingNotAllowed(SettingRefusal::MediaType { media_type, allowed }) => {
                error(Code::FailedPrecondition, Reason::SettingNotAllowed)
                    .with("field", "attachment_media_types")
                    .with("media_type", media_type)
                    .with("allowed", allowed)
            }
            E::SettingNotAllowed(SettingRefusal::Size { limit }) => {
                error(Code::FailedPrecondition, Reason::SettingNotAllowed)
                    .with("field", "max_attachment_size_bytes")
                    .with("max_size_bytes", limit)
            }
            E::PropertyMistyped(MistypedProperty { property, expected }) => {
                error(Code::FailedPrecondition, Reason::ContactPropertyMistyped)
                    .with("property", property)
                    .with("value_type", expected.as_str())
            }
            E::OpeningHoursUnknown => error(Code::FailedPrecondition, Reason::OpeningHoursUnknown),
            E::RoutingPolicyUnknown => error(Code::FailedPrecondition, Reason::RoutingPolicyUnknown),
            E::InsertDeleted => error(Code::FailedPrecondition, Reason::InsertDeleted),
            E::Taken(Taken::Email(contact)) => {
                error(Code::AlreadyExists, Reason::EmailTaken).with("contact_id", contact)
            }
            E::Taken(Taken::ExternalId(contact)) => {
                error(Code::AlreadyExists, Reason::ExternalIdTaken).with("contact_id", contact)
            }
            E::ContactMerged { contact } => {
                error(Code::FailedPrecondition, Reason::ContactMerged).with("contact_id", contact)
            }
            E::MergeTooLarge(limit) => error(Code::FailedPrecondition, Reason::MergeTooLarge)
                .with("what", limit.as_str())
                .with("max_count", limit.max()),
            E::EtagMismatch(resource) => ApiError::etag_mismatch(resource),
            E::TeamChanged => error(Code::Aborted, Reason::TeamChanged),
            E::CursorOutOfRange { last } => ApiError::cursor_out_of_range(last),
            E::Unreachable(_) | E::Locked | E::DatabaseLost => ApiError::unavailable(message),
            E::Db(error) => ApiError::database(&error),
        }
        .into()
    }
}

fn attachment_error(rejection: AttachmentRejection, message: String) -> ApiError {
    let error = |reason: Reason| ApiError::new(Code::FailedPrecondition, DOMAIN, reason.as_str_name(), message);
    match rejection {
        AttachmentRejection::Unknown => error(Reason::AttachmentUnknown),
        AttachmentRejection::NotReady(status) => error(Reason::AttachmentNotReady).with("status", status.as_str()),
        AttachmentRejection::AlreadySent | AttachmentRejection::InMessage => error(Reason::AttachmentAlreadySent),
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_clock::Time;
    use frontdesk_db::AccountId;

    use super::*;
    use crate::domain::{Greeting, NewConversation, StartContext};

    #[test]
    fn a1_a_rejection_describes_the_owner_also_when_the_name_is_unknown() {
        let new = NewConversation {
            id: Uuid::from_u128(1),
            account: AccountId(Uuid::from_u128(2)),
            channel_id: Uuid::from_u128(3),
            visitor_id: "v".into(),
            visitor_name: String::new(),
            unusable_token_email: String::new(),
            contact_id: None,
            context: StartContext::default(),
            previous_id: None,
            greeting: Greeting::Unassigned,
        };
        let mut conversation = Conversation::start(new, Time(0));
        for (owner, name, text) in [
            (None, "", "it is unassigned now"),
            (Some(Owner::agent(Uuid::from_u128(5))), "", "an agent owns it now"),
            (Some(Owner::bot(Uuid::from_u128(6))), "", "a bot owns it now"),
            (Some(Owner::agent(Uuid::from_u128(5))), "Ada", "Ada owns it now"),
        ] {
            conversation.owner = owner;
            let rejected = Rejected::new(Rejection::OwnerChanged, conversation.clone(), name.to_owned());
            assert_eq!(rejected.to_string(), format!("the owner changed; {text}, at epoch 1"));
        }
    }
}
