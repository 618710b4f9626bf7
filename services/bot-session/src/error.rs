//! Errors of the service, and their mapping to gRPC.

use std::time::Duration;

use frontdesk_api::ApiError;
use frontdesk_idempotency::ClaimError;
use frontdesk_proto::botsession::v1::Reason;
use sea_orm::DbErr;
use tonic::{Code, Status};

use crate::domain::{EtagMismatch, FlowProblem, TurnOver};

/// Domain of the service's errors in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "bot-session.frontdesk";
/// How long a caller waits before a retry while the conversation service is unavailable (seconds).
const RETRY_DELAY: Duration = Duration::from_secs(1);

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
    /// Hand-off steps of the flow name agents who are not in the roster, or were deactivated.
    #[error("{}", describe(.0))]
    AgentsNotActive(Vec<FlowProblem>),
    /// A flow or a hand-off of an engine names a routing policy, a team, opening hours or an insert that does not exist, or was deleted.
    #[error("{}", describe(.0))]
    ReferencesUnknown(Vec<FlowProblem>),
    /// The calling agent is not on the roster.
    #[error(
        "you are not on the account's roster; an administrator can create the agent with the id that is your token's subject"
    )]
    CallerUnknown,
    /// The calling agent was deactivated.
    #[error("you were deactivated on the account's roster; an administrator can undo it with ReactivateAgent")]
    CallerDeactivated,
    /// The assignment service does not answer.
    #[error("the assignment service cannot be reached now; try again")]
    RosterUnavailable,
    /// The bot has its new state here, and the conversation service did not take it over.
    #[error(
        "the bot is changed, but the conversation service cannot be reached and may still go by the old state; repeat the call until \
         it succeeds"
    )]
    NotAppliedToConversations,
    /// A deleted bot has no turns any more.
    #[error("the bot was deleted, and its last session with a program has ended; undelete it with UndeleteBot")]
    BotDeleted,
    /// Frontdesk runs the bot.
    #[error("the bot has a flow, which Frontdesk runs; give it an engine with UpdateBot")]
    BotHasFlow,
    /// The turn is over for this answer.
    #[error("the turn is over: it was answered, its session ended, or its lease expired; stop working on it")]
    TurnOver,
    /// The conversation does not take a part of an answer; the parts before it took effect.
    #[error("parts[{part}]: {reason}")]
    PartRejected { part: i64, reason: String },
    /// The conversation service does not answer.
    #[error("the conversation service cannot be reached now; repeat the call")]
    ConversationUnavailable,
    /// The thread has no entry after the sequence: the conversation service's status, which says its last one.
    #[error("{}", .0.message())]
    CursorOutOfRange(Box<Status>),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<EtagMismatch> for BotSessionError {
    fn from(_: EtagMismatch) -> Self {
        Self::EtagMismatch
    }
}

impl From<TurnOver> for BotSessionError {
    fn from(_: TurnOver) -> Self {
        Self::TurnOver
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

/// Names each field with its problem.
fn describe(problems: &[FlowProblem]) -> String {
    let described = problems.iter().map(|problem| format!("{}: {}", problem.field, problem.description));
    described.collect::<Vec<_>>().join("; ")
}

impl From<BotSessionError> for Status {
    fn from(error: BotSessionError) -> Self {
        let message = error.to_string();
        let error = match error {
            BotSessionError::NotFound(resource) => ApiError::not_found(resource, message),
            BotSessionError::RequestIdReused => ApiError::request_id_reused(),
            BotSessionError::EtagMismatch => ApiError::etag_mismatch("bot"),
            BotSessionError::AgentsNotActive(_)
            | BotSessionError::CallerUnknown
            | BotSessionError::CallerDeactivated => {
                ApiError::new(Code::FailedPrecondition, DOMAIN, Reason::AgentNotActive.as_str_name(), message)
            }
            BotSessionError::BotDeleted | BotSessionError::BotHasFlow => {
                ApiError::new(Code::FailedPrecondition, DOMAIN, Reason::BotHasNoEngine.as_str_name(), message)
            }
            BotSessionError::ReferencesUnknown(_) => {
                ApiError::new(Code::FailedPrecondition, DOMAIN, Reason::ReferenceUnknown.as_str_name(), message)
            }
            BotSessionError::RosterUnavailable => ApiError::unavailable(message),
            BotSessionError::TurnOver => ApiError::new(Code::Aborted, DOMAIN, Reason::TurnOver.as_str_name(), message),
            BotSessionError::PartRejected { .. } => {
                ApiError::new(Code::FailedPrecondition, DOMAIN, Reason::PartRejected.as_str_name(), message)
            }
            BotSessionError::CursorOutOfRange(status) => {
                return Self::with_details(status.code(), status.message(), status.details().to_vec().into());
            }
            BotSessionError::NotAppliedToConversations | BotSessionError::ConversationUnavailable => {
                let reason = Reason::ConversationUnavailable.as_str_name();
                ApiError::new(Code::Unavailable, DOMAIN, reason, message).retry_after(RETRY_DELAY)
            }
            BotSessionError::Db(error) => ApiError::database(&error),
        };
        error.into()
    }
}
