//! A visitor spoke to a bot: answer (rule B6).

use frontdesk_bus::{Consumer, Outcome, decode};
use frontdesk_proto::event::v1::{ActorKind, Event, MessagePosted};
use prost::Name;
use uuid::Uuid;

use super::{account, id, outcome};
use crate::{App, commands};

/// Takes the session's turns. What the visitor said is read from the thread, in its order: the event is only the reason to
/// read, so that events which repeat or overtake each other change nothing.
pub(crate) struct VisitorSpoke(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for VisitorSpoke {
    fn name(&self) -> &'static str {
        "bot-session.visitor_spoke"
    }

    fn types(&self) -> Vec<String> {
        vec![MessagePosted::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let session = match read(event) {
            Ok(Some(session)) => session,
            Ok(None) => return Outcome::Done,
            Err(reason) => return Outcome::Hopeless(reason),
        };
        match account(event) {
            Ok(account) => outcome(commands::take_turns(&self.0, account, session).await),
            Err(reason) => Outcome::Hopeless(reason),
        }
    }
}

fn read(event: &Event) -> Result<Option<Uuid>, String> {
    let posted: MessagePosted = decode(event)?;
    let by_visitor = posted.author.as_ref().is_some_and(|author| author.kind() == ActorKind::Visitor);
    if !by_visitor || posted.bot_session_id.is_empty() {
        return Ok(None);
    }
    id(&posted.bot_session_id).map(Some)
}
