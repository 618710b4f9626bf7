//! Errors of the service, and their mapping to gRPC.

use std::time::Duration;

use frontdesk_api::{ApiError, FieldError};
use frontdesk_idempotency::ClaimError;
use frontdesk_proto::{error::v1::Reason as SharedReason, notification::v1::Reason};
use sea_orm::DbErr;
use tonic::{Code, Status};

use crate::{
    domain::{DeliveryStatus, MailLimitReached, SenderEdited, TemplateEdited, WebhookEndpointEdited},
    mail::TemplateFault,
};

/// Domain of the service's errors in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "notification.frontdesk";
/// How long a caller waits before a retry: while the conversation service is unavailable, a close is not decided, or previews are
/// composed.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why a call is rejected or fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotificationError {
    /// A field is invalid in any state.
    #[error("{field}: {description}")]
    Field {
        /// The field's path.
        field: &'static str,
        /// What the field must be.
        description: String,
    },
    /// Absent, or of another account.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The request id was used for another request.
    #[error("the request id was used for another request")]
    RequestIdReused,
    /// Transcripts are sent by hand only after the conversation was closed (rule T4).
    #[error("the conversation is still open; close it first")]
    ConversationOpen,
    /// There is no decision about an open conversation that was never closed, or not as often as the caller says.
    #[error("the conversation is still open; there is a decision when it is closed, and PreviewTranscript foresees it")]
    NotClosed,
    /// The close is so recent that its event did not arrive yet.
    #[error("the transcript of this close is not decided yet; ask again")]
    NotDecided,
    /// The maximum number of previews is being composed.
    #[error("this replica composes its maximum number of previews; try again")]
    TooManyPreviews,
    /// The resource was edited since the caller read it.
    #[error("the {0} was edited since the caller read it")]
    EtagMismatch(&'static str),
    /// Mail goes only to addresses of contacts (rule S4).
    #[error(
        "the address is not an address of this contact; choose one of the contact's addresses, or add it to the contact"
    )]
    EmailNotOfContact,
    /// The address is not mailed any more (rule S4).
    #[error(
        "the address is not mailed any more: mails to it came back, or its owner does not want them; ListSuppressions says why, and an \
         administrator can allow it again with DeleteSuppression"
    )]
    RecipientSuppressed,
    /// The status of the delivery does not allow the operation.
    #[error(
        "the delivery is {}; a FAILED or PARKED delivery can be retried, a QUEUED, FAILED or PARKED one cancelled",
        .0.as_str()
    )]
    DeliveryStatus(DeliveryStatus),
    /// A template cannot be used.
    #[error("{0}")]
    Template(TemplateFault),
    /// The account's template fails with the transcript at hand.
    #[error("{0}; change it with UpdateTranscriptTemplate, or delete it")]
    TemplateUnusable(String),
    /// The account has the maximum number of templates.
    #[error("the account has templates in {0} languages, the maximum; delete one first")]
    TooManyTemplates(u64),
    /// The account has the maximum number of endpoints of webhooks.
    #[error("the account has {0} webhook endpoints, the maximum; delete one first")]
    TooManyWebhookEndpoints(u64),
    /// The sender address is not verified.
    #[error("the sender address is not verified; verify it with the code that was mailed to it")]
    SenderNotVerified,
    /// The code is wrong, used up or expired.
    #[error("the code is wrong, used up, too old or not of the newest mail; ask for a new one with CreateSender")]
    CodeWrong,
    /// A limit of mails was reached (rule S4).
    #[error("too many mails {}; try again later", .0.description)]
    MailLimit(MailLimitReached),
    /// The calling agent is not on the roster.
    #[error(
        "you are not on the account's roster; an administrator can create the agent with the id that is your token's subject"
    )]
    AgentUnknown,
    /// The calling agent was deactivated.
    #[error("you were deactivated on the account's roster; an administrator can undo it with ReactivateAgent")]
    AgentDeactivated,
    /// The assignment service cannot be reached.
    #[error("the assignment service cannot be reached: {0}")]
    AssignmentUnavailable(String),
    /// The conversation service cannot be reached.
    #[error("the conversation service cannot be reached: {0}")]
    ConversationUnavailable(String),
    /// An internal error; callers see a fixed text.
    #[error("{0}")]
    Internal(String),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<MailLimitReached> for NotificationError {
    fn from(reached: MailLimitReached) -> Self {
        Self::MailLimit(reached)
    }
}

impl From<SenderEdited> for NotificationError {
    fn from(_: SenderEdited) -> Self {
        Self::EtagMismatch("sender")
    }
}

impl From<TemplateEdited> for NotificationError {
    fn from(_: TemplateEdited) -> Self {
        Self::EtagMismatch("transcript template")
    }
}

impl From<WebhookEndpointEdited> for NotificationError {
    fn from(_: WebhookEndpointEdited) -> Self {
        Self::EtagMismatch("webhook endpoint")
    }
}

impl From<ClaimError> for NotificationError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Reused => Self::RequestIdReused,
            ClaimError::Db(error) => Self::Db(error),
        }
    }
}

impl From<NotificationError> for Status {
    fn from(notification_error: NotificationError) -> Self {
        use NotificationError as E;
        let message = notification_error.to_string();
        let error = |code, reason: Reason| ApiError::new(code, DOMAIN, reason.as_str_name(), message.clone());
        match notification_error {
            E::Field { field, description } => ApiError::fields(vec![FieldError::new(field, description)]),
            E::NotFound(resource) => ApiError::not_found(resource, message),
            E::RequestIdReused => ApiError::request_id_reused(),
            E::EtagMismatch(resource) => ApiError::etag_mismatch(resource),
            E::NotClosed => error(Code::NotFound, Reason::NotClosed),
            E::NotDecided => error(Code::NotFound, Reason::NotDecided).retry_after(RETRY_DELAY),
            E::TooManyPreviews => {
                ApiError::shared(Code::ResourceExhausted, SharedReason::Overloaded, message).retry_after(RETRY_DELAY)
            }
            E::ConversationOpen => error(Code::FailedPrecondition, Reason::ConversationOpen),
            E::EmailNotOfContact => error(Code::FailedPrecondition, Reason::EmailNotOfContact),
            E::Template(fault) => ApiError::fields(vec![FieldError::new(fault.field, fault.description())]),
            E::TemplateUnusable(_) => error(Code::FailedPrecondition, Reason::TemplateUnusable),
            E::TooManyTemplates(max) => error(Code::FailedPrecondition, Reason::TooManyTemplates).with("max", max),
            E::TooManyWebhookEndpoints(max) => {
                error(Code::FailedPrecondition, Reason::TooManyWebhookEndpoints).with("max", max)
            }
            E::RecipientSuppressed => error(Code::FailedPrecondition, Reason::RecipientSuppressed),
            E::DeliveryStatus(status) => {
                error(Code::FailedPrecondition, Reason::DeliveryStatus).with("status", status.as_str())
            }
            E::SenderNotVerified => error(Code::FailedPrecondition, Reason::SenderNotVerified),
            E::CodeWrong => error(Code::FailedPrecondition, Reason::CodeWrong),
            E::MailLimit(reached) => error(Code::ResourceExhausted, Reason::MailLimit).retry_after(reached.retry_after),
            E::AgentUnknown | E::AgentDeactivated => error(Code::FailedPrecondition, Reason::AgentNotActive),
            E::AssignmentUnavailable(reason) => {
                tracing::warn!(reason, "the assignment service cannot be reached");
                ApiError::unavailable("the assignment service cannot be reached; try again")
            }
            E::ConversationUnavailable(reason) => {
                tracing::warn!(reason, "the conversation service cannot be reached");
                let message = "the conversation service cannot be reached; try again";
                ApiError::new(Code::Unavailable, DOMAIN, Reason::ConversationUnavailable.as_str_name(), message)
                    .retry_after(RETRY_DELAY)
            }
            E::Db(error) => ApiError::database(&error),
            E::Internal(error) => ApiError::internal(&error),
        }
        .into()
    }
}
