//! A visitor spoke to a bot: answer (rule B6).

use frontdesk_bus::{Consumer, Outcome, decode};
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::{ActorKind, Event, MessagePosted};
use prost::Name;
use uuid::Uuid;

use super::{account, id, outcome};
use crate::{App, commands};

/// Takes the session's turns. What the visitor said is read from the thread, in its order: the event is only the reason to
/// read, so that events which repeat or overtake each other change nothing. A message that was answered is no reason.
pub(crate) struct VisitorSpoke(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for VisitorSpoke {
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
        let said = match read(event) {
            Ok(Some(said)) => said,
            Ok(None) => return Outcome::Ack,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        match commands::has_to_answer(&self.0, said.account, said.session, said.sequence).await {
            Ok(true) => outcome(commands::take_turns(&self.0, said.account, said.session).await),
            Ok(false) => Outcome::Ack,
            Err(error) => Outcome::Retry(error.to_string()),
        }
    }
}

struct Said {
    account: AccountId,
    session: Uuid,
    sequence: i64,
}

fn read(event: &Event) -> Result<Option<Said>, String> {
    let posted: MessagePosted = decode(event)?;
    let by_visitor = posted.author.as_ref().is_some_and(|author| author.kind() == ActorKind::Visitor);
    if !by_visitor || posted.bot_session_id.is_empty() {
        return Ok(None);
    }
    let (account, session) = (account(event)?, id(&posted.bot_session_id)?);
    Ok(Some(Said { account, session, sequence: posted.sequence }))
}
