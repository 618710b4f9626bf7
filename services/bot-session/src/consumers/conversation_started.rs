//! Starts the session of a conversation that began with a bot, and takes its first turn (rule B1).

use std::time::Duration;

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_clock::Time;
use frontdesk_proto::event::v1::{self as proto, Event};
use prost::Name;

use super::{database_outcome, turns_outcome};
use crate::{
    App,
    commands::{self, TurnRequest},
    domain::NewSession,
};

/// Starts the session, then takes its turns. A redelivery repeats both without effect, so that a crash between the two
/// leaves no visitor without a greeting.
pub(crate) struct ConversationStarted(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for ConversationStarted {
    fn name(&self) -> &'static str {
        "bot-session.started"
    }

    fn source(&self) -> &'static str {
        "conversation"
    }

    fn types(&self) -> Vec<String> {
        vec![proto::ConversationStarted::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let new = match new_session(event) {
            Ok(Some(new)) => new,
            Ok(None) => return Outcome::Ack,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        let NewSession { account, id: session, started_at, .. } = new;
        let request = TurnRequest { account, session, sequence: None, asked_at: Some(started_at) };
        match commands::start_session(&self.0, new).await {
            Ok(()) => turns_outcome(commands::take_turns(&self.0, &request).await),
            Err(error) => database_outcome(&error),
        }
    }
}

/// Returns the session that began. None: the conversation began without a bot.
fn new_session(event: &Event) -> Result<Option<NewSession>, String> {
    let started: proto::ConversationStarted = decode(event)?;
    if started.bot_session_id.is_empty() {
        return Ok(None);
    }
    let timeout = started.inactivity_timeout.map(Duration::try_from).transpose();
    Ok(Some(NewSession {
        id: uuid("bot_session_id", &started.bot_session_id)?,
        account: account_id(event)?,
        bot: uuid("bot_id", &started.bot_id)?,
        conversation: uuid("conversation_id", &started.conversation_id)?,
        timeout: timeout.map_err(|error| format!("inactivity_timeout: {error}"))?,
        started_at: started.start_time.as_ref().map(Time::from_proto).ok_or("start_time is not set")?,
    }))
}
