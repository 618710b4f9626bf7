//! A conversation was started with a bot: keep its session and say the first words (rule B1).

use std::time::Duration;

use frontdesk_bus::{Consumer, Outcome, decode};
use frontdesk_clock::Time;
use frontdesk_proto::event::v1::{ConversationStarted, Event};
use prost::Name;

use super::{account, id, outcome};
use crate::{
    App,
    commands::{self, StartSession},
    error::BotSessionError,
};

/// Keeps the session, then takes its turns. Both may be done again: the session's row and the turns' request ids see to it,
/// so that dying between the two leaves no visitor without a greeting.
pub(crate) struct Started(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for Started {
    fn name(&self) -> &'static str {
        "bot-session.started"
    }

    fn source(&self) -> &'static str {
        "conversation"
    }

    fn types(&self) -> Vec<String> {
        vec![ConversationStarted::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let command = match read(event) {
            Ok(Some(command)) => command,
            Ok(None) => return Outcome::Ack,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        let (account, session) = (command.account, command.session);
        match commands::start_session(&self.0, command).await {
            Ok(()) => outcome(commands::take_turns(&self.0, account, session).await),
            // Bots live in this very database: one that is not there will not come.
            Err(error @ BotSessionError::NotFound(_)) => Outcome::DeadLetter(error.to_string()),
            Err(error) => Outcome::Retry(error.to_string()),
        }
    }
}

fn read(event: &Event) -> Result<Option<StartSession>, String> {
    let started: ConversationStarted = decode(event)?;
    if started.bot_session_id.is_empty() {
        return Ok(None);
    }
    let timeout = started.inactivity_timeout.map(Duration::try_from).transpose();
    Ok(Some(StartSession {
        account: account(event)?,
        session: id(&started.bot_session_id)?,
        bot: id(&started.bot_id)?,
        conversation: id(&started.conversation_id)?,
        timeout: timeout.map_err(|error| error.to_string())?,
        started_at: started.start_time.as_ref().map(Time::from_proto).ok_or("the event has no time")?,
    }))
}
