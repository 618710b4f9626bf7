//! Errors of the service, and their mapping to gRPC.

use frontdesk_api::ApiError;
use frontdesk_idempotency::ClaimError;
use frontdesk_proto::botsession::v1::Reason;
use sea_orm::DbErr;
use tonic::{Code, Status};

use crate::domain::BotRejection;

/// Domain of the service's errors in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "bot-session.frontdesk";

/// Why a call is rejected or fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BotSessionError {
    /// Absent, or of another account (rule S2).
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The request id was used for other content (rule C12).
    #[error("the request_id was used for another request; choose a new one")]
    RequestIdReused,
    /// The bot was edited after the caller read it.
    #[error("the bot was edited since you read it; read it again")]
    EtagMismatch,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<BotRejection> for BotSessionError {
    fn from(rejection: BotRejection) -> Self {
        match rejection {
            BotRejection::Deleted => Self::NotFound("bot"),
            BotRejection::EtagMismatch => Self::EtagMismatch,
        }
    }
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
    fn from(session_error: BotSessionError) -> Self {
        let message = session_error.to_string();
        let error = |code, reason: Reason| ApiError::new(code, DOMAIN, reason.as_str_name(), message.as_str());
        match session_error {
            BotSessionError::NotFound(resource) => {
                error(Code::NotFound, Reason::NotFound).with("resource", resource).into()
            }
            BotSessionError::RequestIdReused => error(Code::FailedPrecondition, Reason::RequestIdReused).into(),
            BotSessionError::EtagMismatch => error(Code::Aborted, Reason::EtagMismatch).into(),
            BotSessionError::Db(error) => ApiError::database(&error).into(),
        }
    }
}
