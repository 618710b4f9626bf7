//! Calls to the conversation service: reading a thread as the service, acting as the bot, closing idle conversations.

mod bot_actions;
mod idle_conversations;
mod visitor_messages;

use frontdesk_proto::conversation::v1::Reason;
use frontdesk_rpc::refused_with;
use tonic::{Code, Status};

pub(crate) use bot_actions::perform;
pub(crate) use idle_conversations::close_idle;
pub(crate) use visitor_messages::VisitorMessages;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The session is no longer in charge, or the conversation is closed or absent.
    #[error("the session is no longer in charge of the conversation")]
    SessionOver,
    /// The conversation service rejects the content; a retry would be rejected too.
    #[error("the conversation service rejected the call: {0}")]
    Rejected(String),
    /// The response exceeds the size limit of the client; a retry would exceed it too.
    #[error("the response of the conversation service is too large: {0}")]
    ResponseTooLarge(String),
    /// Worth a retry.
    #[error("the conversation service did not answer: {0}")]
    Unavailable(String),
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        let over = [Reason::BotSessionNotInCharge, Reason::ConversationClosed, Reason::OwnershipChanged];
        if status.code() == Code::NotFound || over.iter().any(|reason| has_reason(&status, *reason)) {
            return Self::SessionOver;
        }
        let message = format!("{:?}: {}", status.code(), status.message());
        match status.code() {
            Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::PermissionDenied
            | Code::AlreadyExists
            | Code::Unimplemented => Self::Rejected(message),
            // tonic answers OUT_OF_RANGE when a message exceeds the decoder's limit.
            Code::OutOfRange => Self::ResponseTooLarge(message),
            _ => Self::Unavailable(message),
        }
    }
}

/// Whether the status carries this reason. On the wire a reason has no prefix.
fn has_reason(status: &Status, reason: Reason) -> bool {
    refused_with(status, reason.as_str_name().trim_start_matches("REASON_"))
}
