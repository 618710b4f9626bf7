//! Ends the session of a conversation that was taken over, closed or handed off (rules A3, B4, B8).
//!
//! A close by the timeout is no concern: the worker that asked for it stores it, and asks again when it did not learn the outcome.
//! Only a reopening would leave it without one, so that event names the session.

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::ActorKind,
    conversation::v1::CloseReason,
    event::v1::{AssigneeChanged, ConversationClosed, ConversationHandedOff, ConversationReopened, Event},
};
use prost::Name;
use uuid::Uuid;

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
        vec![
            AssigneeChanged::full_name(),
            ConversationClosed::full_name(),
            ConversationHandedOff::full_name(),
            ConversationReopened::full_name(),
        ]
    }

    /// An event that cannot be read is one, so that it becomes a dead letter.
    fn concerns(&self, event: &Event) -> bool {
        !matches!(released_session(event), Ok(None))
    }

    async fn handle(&self, event: &Event) -> Outcome {
        match released_session(event) {
            Ok(Some(Released { account, session, status })) => {
                // NotFound is retried like any failure: this event may overtake the one that starts the session.
                commands::end_session(&self.0, account, session, status).await.into()
            }
            Ok(None) => Outcome::Ack,
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }
}

struct Released {
    account: AccountId,
    session: Uuid,
    status: SessionStatus,
}

/// Returns the session that ended, and how. None: no session was in charge, or its timeout closed.
fn released_session(event: &Event) -> Result<Option<Released>, String> {
    let (session, status) = if event.r#type == AssigneeChanged::full_name() {
        let changed: AssigneeChanged = decode(event)?;
        let by_bot = changed.by.as_ref().is_some_and(|by| by.kind() == ActorKind::Bot);
        let status = if by_bot { SessionStatus::HandedOff } else { SessionStatus::TakenOver };
        (changed.ended_bot_session_id, status)
    } else if event.r#type == ConversationHandedOff::full_name() {
        let handed_off: ConversationHandedOff = decode(event)?;
        (handed_off.bot_session_id, SessionStatus::HandedOff)
    } else if event.r#type == ConversationReopened::full_name() {
        let reopened: ConversationReopened = decode(event)?;
        (reopened.timed_out_bot_session_id, SessionStatus::TimedOut)
    } else {
        let closed: ConversationClosed = decode(event)?;
        let status = match closed.reason() {
            CloseReason::VisitorInactive => return Ok(None),
            CloseReason::BotCompleted => SessionStatus::Completed,
            CloseReason::Agent | CloseReason::Unspecified => SessionStatus::Closed,
        };
        (closed.bot_session_id, status)
    };
    if session.is_empty() {
        return Ok(None);
    }
    Ok(Some(Released { account: account_id(event)?, session: uuid("bot_session_id", &session)?, status }))
}
