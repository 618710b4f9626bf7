//! A session lost its conversation: end it as the conversation's row did (rules A3, B4, B8).

use frontdesk_bus::{Consumer, Outcome, decode};
use frontdesk_proto::event::v1::{
    ActorKind, AssigneeChanged, CloseReason, ConversationClosed, ConversationHandedOff, Event,
};
use prost::Name;

use super::{account, id};
use crate::{App, commands, domain::Status, error::BotSessionError};

/// Ends the session; one that is over stays as it ended first.
pub(crate) struct Lost(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for Lost {
    fn name(&self) -> &'static str {
        "bot-session.lost"
    }

    fn source(&self) -> &'static str {
        "conversation"
    }

    fn types(&self) -> Vec<String> {
        vec![AssigneeChanged::full_name(), ConversationClosed::full_name(), ConversationHandedOff::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let (session, status) = match read(event) {
            Ok((session, _)) if session.is_empty() => return Outcome::Ack,
            Ok(read) => read,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        let (account, session) = match account(event).and_then(|account| Ok((account, id(&session)?))) {
            Ok(ids) => ids,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        match commands::end_session(&self.0, account, session, status).await {
            Ok(()) => Outcome::Ack,
            // This event overtook the one that starts the session.
            Err(error @ BotSessionError::NotFound(_)) => Outcome::Retry(error.to_string()),
            Err(error) => Outcome::Retry(error.to_string()),
        }
    }
}

/// The session that ended, and how; empty: none did.
fn read(event: &Event) -> Result<(String, Status), String> {
    if event.r#type == AssigneeChanged::full_name() {
        let changed: AssigneeChanged = decode(event)?;
        let by_bot = changed.by.as_ref().is_some_and(|by| by.kind() == ActorKind::Bot);
        Ok((changed.ended_bot_session_id, if by_bot { Status::HandedOff } else { Status::TakenOver }))
    } else if event.r#type == ConversationHandedOff::full_name() {
        let off: ConversationHandedOff = decode(event)?;
        Ok((off.bot_session_id, Status::HandedOff))
    } else {
        let closed: ConversationClosed = decode(event)?;
        let status = match closed.reason() {
            CloseReason::VisitorInactive => Status::TimedOut,
            CloseReason::BotCompleted => Status::Completed,
            CloseReason::Agent | CloseReason::Unspecified => Status::Closed,
        };
        Ok((closed.bot_session_id, status))
    }
}
