//! Answers a visitor's message to a bot (rule B6).

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_clock::Time;
use frontdesk_proto::{
    actor::v1::ActorKind,
    event::v1::{Event, MessagePosted},
};
use prost::Name;

use super::turns_outcome;
use crate::{
    App,
    commands::{self, TurnRequest},
};

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

    /// An event that cannot be read is one, so that it becomes a dead letter.
    fn concerns(&self, event: &Event) -> bool {
        !matches!(message_to_bot(event), Ok(None))
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let message = match message_to_bot(event) {
            Ok(Some(message)) => message,
            Ok(None) => return Outcome::Ack,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        turns_outcome(commands::take_turns(&self.0, &message).await)
    }
}

/// Returns the request to answer the visitor's message. None: the message is not a visitor's, or no session was in charge.
fn message_to_bot(event: &Event) -> Result<Option<TurnRequest>, String> {
    let posted: MessagePosted = decode(event)?;
    let by_visitor = posted.author.as_ref().is_some_and(|author| author.kind() == ActorKind::Visitor);
    if !by_visitor || posted.bot_session_id.is_empty() {
        return Ok(None);
    }
    let asked_at = event.create_time.as_ref().map(Time::from_proto);
    let (account, session) = (account_id(event)?, uuid("bot_session_id", &posted.bot_session_id)?);
    Ok(Some(TurnRequest { account, session, sequence: Some(posted.sequence.into()), asked_at }))
}
