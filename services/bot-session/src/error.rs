//! What can go wrong, in this service's words, and what a caller is told.

use frontdesk_api::{ApiError, FieldError};
use frontdesk_idempotency::ClaimError;
use frontdesk_proto::botsession::v1::Reason;
use sea_orm::DbErr;
use tonic::{Code, Status};

const DOMAIN: &str = "bot-session.frontdesk";

/// Why a call was refused, or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BotSessionError {
    /// Fields that are wrong in any state.
    #[error("fields are wrong")]
    Fields(Vec<FieldError>),
    /// Absent, or not the caller's to know.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The request id was used for other content.
    #[error("the request_id was used for another request; choose a new one")]
    RequestIdReused,
    /// Edited since the caller read it.
    #[error("somebody edited the bot since you read it; read it again")]
    EtagMismatch,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<ClaimError> for BotSessionError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Reused => Self::RequestIdReused,
            ClaimError::Db(error) => Self::Db(error),
        }
    }
}

impl From<BotSessionError> for Status {
    fn from(error: BotSessionError) -> Self {
        let message = error.to_string();
        let refusal = |code, reason: Reason| ApiError::new(code, DOMAIN, reason.as_str_name(), message.as_str());
        match error {
            BotSessionError::Fields(fields) => ApiError::fields(fields).into(),
            BotSessionError::NotFound(resource) => {
                refusal(Code::NotFound, Reason::NotFound).with("resource", resource).into()
            }
            BotSessionError::RequestIdReused => refusal(Code::FailedPrecondition, Reason::RequestIdReused).into(),
            BotSessionError::EtagMismatch => refusal(Code::Aborted, Reason::EtagMismatch).into(),
            BotSessionError::Db(error) => ApiError::database(&error).into(),
        }
    }
}
