//! Errors of the service, and their mapping to gRPC.

use frontdesk_api::ApiError;
use frontdesk_idempotency::ClaimError;
use sea_orm::DbErr;
use tonic::Status;

use crate::domain::EtagMismatch;

/// Why a call is rejected or fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BotSessionError {
    /// Absent, or of another account (rule S2).
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The request id was used for other content (rule C12).
    #[error("the request_id was used for another request")]
    RequestIdReused,
    /// The bot was edited after the caller read it.
    #[error("the bot was edited since it was read")]
    EtagMismatch,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<EtagMismatch> for BotSessionError {
    fn from(_: EtagMismatch) -> Self {
        Self::EtagMismatch
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
    fn from(error: BotSessionError) -> Self {
        let error = match error {
            BotSessionError::NotFound(resource) => ApiError::not_found(resource, error.to_string()),
            BotSessionError::RequestIdReused => ApiError::request_id_reused(),
            BotSessionError::EtagMismatch => ApiError::etag_mismatch("bot"),
            BotSessionError::Db(error) => ApiError::database(&error),
        };
        error.into()
    }
}
