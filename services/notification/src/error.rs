//! Why an operation of this service was refused, and how gRPC says so.

use std::time::Duration;

use frontdesk_api::{ApiError, FieldError};
use frontdesk_idempotency::ClaimError;
use frontdesk_proto::notification::v1::Reason;
use sea_orm::DbErr;
use tonic::{Code, Status};

use crate::domain::State;

const DOMAIN: &str = "notification.frontdesk";

/// A refusal, in the words of this service.
#[derive(Debug, thiserror::Error)]
pub enum NotificationError {
    /// A field is wrong in any state.
    #[error("{field}: {description}")]
    Field {
        /// The field's path.
        field: &'static str,
        /// What would be right.
        description: String,
    },
    /// Absent, or another account's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The request id was used for something else.
    #[error("the request_id was used for another request; choose a new one")]
    RequestIdReused,
    /// A transcript is sent by hand once the conversation has ended (rule T4).
    #[error("the conversation is still open; close it first")]
    ConversationOpen,
    /// Mail goes to contacts' addresses only (rule S4).
    #[error("the address is not one that mail to this contact may go to")]
    AddressNotOfContact,
    /// The delivery's state does not allow it.
    #[error("the delivery is {}", .0.as_str())]
    DeliveryState(State),
    /// The sender address is not verified.
    #[error("the sender address is not verified; verify it with the code that was mailed to it")]
    SenderNotVerified,
    /// The code is wrong, used up or too old.
    #[error("the code is wrong, used up or too old; ask for a new one with CreateSender")]
    CodeWrong,
    /// Too many mails.
    #[error("too many mails {which}; try again later")]
    MailLimit {
        /// Of whom.
        which: &'static str,
        /// When there is room again.
        retry_after: Duration,
    },
    /// The conversation service cannot be reached.
    #[error("the conversation service cannot be reached: {0}")]
    ConversationUnavailable(String),
    /// The conversation service or the composition failed in a way that is our fault.
    #[error("{0}")]
    Internal(String),
    /// The database refused.
    #[error(transparent)]
    Db(#[from] DbErr),
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
    fn from(error: NotificationError) -> Self {
        use NotificationError as E;
        let message = error.to_string();
        let refusal = |code, reason: Reason| ApiError::new(code, DOMAIN, reason.as_str_name(), message.clone());
        match error {
            E::Field { field, description } => ApiError::fields(vec![FieldError::new(field, description)]),
            E::NotFound(resource) => refusal(Code::NotFound, Reason::NotFound).with("resource", resource),
            E::RequestIdReused => refusal(Code::FailedPrecondition, Reason::RequestIdReused),
            E::ConversationOpen => refusal(Code::FailedPrecondition, Reason::ConversationOpen),
            E::AddressNotOfContact => refusal(Code::FailedPrecondition, Reason::AddressNotOfContact),
            E::DeliveryState(state) => {
                refusal(Code::FailedPrecondition, Reason::DeliveryState).with("state", state.as_str())
            }
            E::SenderNotVerified => refusal(Code::FailedPrecondition, Reason::SenderNotVerified),
            E::CodeWrong => refusal(Code::FailedPrecondition, Reason::CodeWrong),
            E::MailLimit { retry_after, .. } => {
                refusal(Code::ResourceExhausted, Reason::MailLimit).retry_after(retry_after)
            }
            E::ConversationUnavailable(why) => {
                tracing::warn!(why, "the conversation service cannot be reached");
                let message = "the conversation service cannot be reached; try again";
                ApiError::new(Code::Unavailable, DOMAIN, Reason::ConversationUnavailable.as_str_name(), message)
                    .retry_after(Duration::from_secs(1))
            }
            E::Db(error) => ApiError::database(&error),
            E::Internal(error) => ApiError::internal(&error),
        }
        .into()
    }
}
