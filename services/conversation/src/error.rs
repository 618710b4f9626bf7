//! Every way in which this service refuses, and how each is told by gRPC: the one place that maps.

use frontdesk_api::{ApiError, FieldError};
use frontdesk_idempotency::ClaimError;
use frontdesk_proto::conversation::v1::Reason;
use sea_orm::DbErr;
use tonic::{Code, Status as GrpcStatus};

use crate::{
    domain::{Conversation, Refused, Status},
    store::names::NamedOwner,
};

const DOMAIN: &str = "conversation.frontdesk";

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    /// Fields that only the domain can judge.
    #[error("fields are wrong")]
    Fields(Vec<FieldError>),
    /// Absent, or not the caller's to know.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The request id was used for other content.
    #[error("request id reused")]
    RequestIdReused,
    /// The row says no; what is true now comes with it.
    #[error("refused: {0:?}")]
    Refused(Box<Explained>),
    /// A bot that a channel names does not exist or was deleted.
    #[error("no such bot")]
    BotUnknown,
    /// No chat begins on a deleted channel.
    #[error("the channel was deleted")]
    ChannelDeleted,
    /// A ticket needs a contact.
    #[error("the conversation has no contact")]
    ContactUnknown,
    /// Another contact has the address.
    #[error("the address is taken")]
    AddressTaken,
    /// That message offers no such button, or is not the newest question.
    #[error("the button is not offered")]
    ButtonNotOffered,
    /// The visitor has a newer open conversation on the channel.
    #[error("a newer conversation is open")]
    NewerConversationOpen,
    /// This service has not heard of the agent: the roster can be asked.
    #[error("the agent is unknown")]
    AgentUnknown,
    /// The agent is not on the roster, or was deactivated.
    #[error("the agent is not active")]
    AgentNotActive,
    /// Edited since it was read.
    #[error("edited since")]
    EtagMismatch,
    /// Another service cannot be reached.
    #[error("{0} cannot be reached")]
    Unreachable(&'static str),
    /// The database was lost on the way: the call may have taken effect.
    #[error("the database was lost")]
    DatabaseLost,
    /// The database.
    #[error(transparent)]
    Db(#[from] DbErr),
}

/// A refusal of the domain with what is true now.
#[derive(Debug)]
pub struct Explained {
    refused: Refused,
    conversation: Conversation,
    owner: Option<NamedOwner>,
}

impl Explained {
    pub(crate) fn new(refused: Refused, conversation: Conversation, owner: Option<NamedOwner>) -> Self {
        Self { refused, conversation, owner }
    }

    fn refusal(&self) -> ApiError {
        let row = &self.conversation.row;
        let owner = self.owner.as_ref();
        let now = match owner {
            Some(owner) if owner.name.is_empty() => format!("a {} owns it now", owner.kind()),
            Some(owner) => format!("{} owns it now", owner.name),
            None => "nobody owns it now".to_owned(),
        };
        let with_owner = |refusal: ApiError| {
            let refusal = refusal
                .with("epoch", row.epoch)
                .with("status", if row.status == Status::Open { "OPEN" } else { "CLOSED" });
            match owner {
                Some(owner) => {
                    refusal.with("owner_kind", owner.kind()).with("owner_id", owner.id).with("owner_name", &owner.name)
                }
                None => refusal.with("owner_kind", "NOBODY"),
            }
        };
        let refusal =
            |code, reason: Reason, message: String| ApiError::new(code, DOMAIN, reason.as_str_name(), message);
        match self.refused {
            Refused::Closed => {
                let why = row.close_reason.map_or("", |reason| reason.as_str());
                refusal(
                    Code::FailedPrecondition,
                    Reason::ConversationClosed,
                    "the conversation is closed; a visitor can start a new one, an agent can reopen this one".into(),
                )
                .with("close_reason", why)
                .with("close_number", row.close_number)
            }
            Refused::BotInCharge => with_owner(refusal(
                Code::FailedPrecondition,
                Reason::BotInCharge,
                "a bot is in charge; take the conversation over first".into(),
            )),
            Refused::SessionNotInCharge => with_owner(refusal(
                Code::Aborted,
                Reason::BotSessionNotInCharge,
                format!("that bot session is not in charge; {now}"),
            )),
            Refused::OwnershipChanged => with_owner(refusal(
                Code::Aborted,
                Reason::OwnershipChanged,
                format!("the owner changed; {now}, at epoch {}", row.epoch),
            )),
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

impl From<ConversationError> for GrpcStatus {
    fn from(error: ConversationError) -> Self {
        let refusal = |code, reason: Reason, message: &str| ApiError::new(code, DOMAIN, reason.as_str_name(), message);
        use ConversationError as E;
        match error {
            E::Fields(fields) => ApiError::fields(fields),
            E::NotFound(kind) => {
                refusal(Code::NotFound, Reason::NotFound, &format!("there is no such {kind}")).with("resource", kind)
            }
            E::RequestIdReused => refusal(
                Code::FailedPrecondition,
                Reason::RequestIdReused,
                "the request_id was used for another request; choose a new one",
            ),
            E::Refused(explained) => explained.refusal(),
            E::BotUnknown => refusal(
                Code::FailedPrecondition,
                Reason::BotUnknown,
                "there is no such bot, or it was deleted; create one first",
            ),
            E::ChannelDeleted => refusal(
                Code::FailedPrecondition,
                Reason::ChannelDeleted,
                "the channel was deleted; no chat begins on it",
            ),
            E::ContactUnknown => refusal(
                Code::FailedPrecondition,
                Reason::ContactUnknown,
                "the conversation has no contact yet; it gets one when an address is known",
            ),
            E::AddressTaken => refusal(
                Code::FailedPrecondition,
                Reason::AddressTaken,
                "another contact of the account has that address",
            ),
            E::ButtonNotOffered => refusal(
                Code::FailedPrecondition,
                Reason::ButtonNotOffered,
                "the newest message with buttons is another one, or does not offer that button",
            ),
            E::NewerConversationOpen => refusal(
                Code::FailedPrecondition,
                Reason::NewerConversationOpen,
                "the visitor has a newer open conversation on this channel; go on there",
            ),
            E::AgentUnknown | E::AgentNotActive => refusal(
                Code::FailedPrecondition,
                Reason::AgentNotActive,
                "you are not on the account's roster, or were deactivated; an administrator can create the agent with the id that is your token's subject",
            ),
            E::EtagMismatch => refusal(
                Code::Aborted,
                Reason::EtagMismatch,
                "it was edited since you read it; read it again and repeat your change",
            ),
            E::Unreachable(service) => {
                ApiError::unavailable(format!("the {service} service cannot be reached now; try again"))
            }
            E::DatabaseLost => lost(),
            E::Db(error) => ApiError::database(&error),
        }
        .into()
    }
}

fn lost() -> ApiError {
    ApiError::unavailable(
        "the database cannot be reached now; the call may have taken effect, so try again with the same request_id",
    )
}
