//! Answers a visitor's message to a bot (rule B6).

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::ActorKind,
    event::v1::{Event, MessagePosted},
};
use prost::Name;
use uuid::Uuid;

use super::turns_outcome;
use crate::{App, commands};

/// Takes the session's turns, unless the message is answered. The messages themselves are read from the thread, in its
/// order, so that events which are redelivered or arrive out of order change nothing.
pub(crate) struct VisitorMessage(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for VisitorMessage {
    fn name(&self) -> &'static str {
        "bot-session.visitor_spoke"
    }

    fn source(&self) -> &'static str {
        "conversation"
    }

    fn types(&self) -> Vec<String> {
        vec![MessagePosted::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let message = match message_to_bot(event) {
            Ok(Some(message)) => message,
            Ok(None) => return Outcome::Ack,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        let MessageToBot { account, session, sequence } = message;
        turns_outcome(commands::take_turns(&self.0, account, session, Some(sequence)).await)
    }
}

/// A visitor's message that was posted while a session was in charge.
struct MessageToBot {
    account: AccountId,
    session: Uuid,
    sequence: i64,
}

/// Returns the visitor's message. None: the message is not a visitor's, or no session was in charge.
fn message_to_bot(event: &Event) -> Result<Option<MessageToBot>, String> {
    let posted: MessagePosted = decode(event)?;
    let by_visitor = posted.author.as_ref().is_some_and(|author| author.kind() == ActorKind::Visitor);
    if !by_visitor || posted.bot_session_id.is_empty() {
        return Ok(None);
    }
    let (account, session) = (account_id(event)?, uuid("bot_session_id", &posted.bot_session_id)?);
    Ok(Some(MessageToBot { account, session, sequence: posted.sequence.into() }))
}
