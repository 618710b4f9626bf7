//! Ends the session of a conversation that was taken over, closed or handed off (rules A3, B4, B8).

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_proto::{
    actor::v1::ActorKind,
    conversation::v1::CloseReason,
    event::v1::{AssigneeChanged, ConversationClosed, ConversationHandedOff, Event},
};
use prost::Name;

use crate::{App, commands, domain::SessionStatus};

/// Ends the session. A session that ended before keeps its first end.
pub(crate) struct ConversationReleased(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for ConversationReleased {
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
        let read = released_session(event).and_then(|(session, status)| {
            let session = if session.is_empty() { None } else { Some(uuid("bot_session_id", &session)?) };
            Ok((account_id(event)?, session, status))
        });
        match read {
            Ok((account, Some(session), status)) => {
                // NotFound is retried like any failure: this event may overtake the one that starts the session.
                commands::end_session(&self.0, account, session, status).await.into()
            }
            Ok((_, None, _)) => Outcome::Ack,
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }
}

/// Returns the id of the session that ended, and how. Empty: no session was in charge.
fn released_session(event: &Event) -> Result<(String, SessionStatus), String> {
    if event.r#type == AssigneeChanged::full_name() {
        let changed: AssigneeChanged = decode(event)?;
        let by_bot = changed.by.as_ref().is_some_and(|by| by.kind() == ActorKind::Bot);
        let status = if by_bot { SessionStatus::HandedOff } else { SessionStatus::TakenOver };
        Ok((changed.ended_bot_session_id, status))
    } else if event.r#type == ConversationHandedOff::full_name() {
        let handed_off: ConversationHandedOff = decode(event)?;
        Ok((handed_off.bot_session_id, SessionStatus::HandedOff))
    } else {
        let closed: ConversationClosed = decode(event)?;
        let status = match closed.reason() {
            CloseReason::VisitorInactive => SessionStatus::TimedOut,
            CloseReason::BotCompleted => SessionStatus::Completed,
            CloseReason::Agent | CloseReason::Unspecified => SessionStatus::Closed,
        };
        Ok((closed.bot_session_id, status))
    }
}
