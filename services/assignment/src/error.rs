//! What can go wrong, in this service's words, and what a caller is told.

use std::time::Duration;

use frontdesk_api::{ApiError, FieldError};
use frontdesk_idempotency::ClaimError;
use frontdesk_proto::assignment::v1::Reason;
use sea_orm::DbErr;
use tonic::{Code, Status};

const DOMAIN: &str = "assignment.frontdesk";

/// Why a call was refused, or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssignmentError {
    /// Absent, or not the caller's to know.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The request id was used for other content.
    #[error("the request_id was used for another request; choose a new one")]
    RequestIdReused,
    /// The agent left the roster.
    #[error("the agent was deactivated: nothing can be assigned to them")]
    AgentDeactivated,
    /// The caller is not an agent that the roster knows.
    #[error("you are not on the account's roster: create the agent first, with the id that is your token's subject")]
    NotOnRoster,
    /// Another agent has the handle or the address.
    #[error("another agent of the account has the handle or the address; choose another one")]
    HandleTaken,
    /// Another agent of the account has the id.
    #[error("another agent of the account has the id; choose another one")]
    AgentIdTaken,
    /// Edited since the caller read it.
    #[error("somebody edited the agent since you read it; read it again")]
    EtagMismatch,
    /// The conversation's row refused; what it said is passed on.
    #[error("the conversation service refused: {}", .0.message())]
    Refused(Status),
    /// The conversation service cannot be reached.
    #[error("the conversation service cannot be reached; try again")]
    ConversationUnavailable,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<ClaimError> for AssignmentError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Reused => Self::RequestIdReused,
            ClaimError::Db(error) => Self::Db(error),
        }
    }
}

impl From<AssignmentError> for Status {
    fn from(error: AssignmentError) -> Self {
        let message = error.to_string();
        let refusal = |code, reason: Reason| ApiError::new(code, DOMAIN, reason.as_str_name(), message.as_str());
        match error {
            AssignmentError::NotFound(resource) => {
                refusal(Code::NotFound, Reason::NotFound).with("resource", resource).into()
            }
            AssignmentError::RequestIdReused => refusal(Code::FailedPrecondition, Reason::RequestIdReused).into(),
            AssignmentError::AgentDeactivated => refusal(Code::FailedPrecondition, Reason::AgentDeactivated).into(),
            AssignmentError::NotOnRoster => refusal(Code::FailedPrecondition, Reason::NotOnRoster).into(),
            AssignmentError::HandleTaken => refusal(Code::FailedPrecondition, Reason::HandleTaken).into(),
            AssignmentError::AgentIdTaken => ApiError::fields(vec![FieldError::new("agent_id", message)]).into(),
            AssignmentError::EtagMismatch => refusal(Code::Aborted, Reason::EtagMismatch).into(),
            AssignmentError::Refused(status) => status,
            AssignmentError::ConversationUnavailable => {
                ApiError::new(Code::Unavailable, DOMAIN, Reason::ConversationUnavailable.as_str_name(), message)
                    .retry_after(Duration::from_secs(1))
                    .into()
            }
            AssignmentError::Db(error) => ApiError::database(&error).into(),
        }
    }
}
