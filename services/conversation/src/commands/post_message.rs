//! An agent, or the bot in charge, posts a message (rules C4, C11, C12, A3).

use std::sync::Arc;

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::write;
use crate::{
    App,
    domain::{Button, Content, Conversation, Entry},
    error::ConversationError,
    store::{
        names::Names,
        writer::{Known, No, Wanted},
    },
};

#[derive(Clone)]
pub(crate) struct PostMessage {
    pub conversation: Uuid,
    pub by: Poster,
    pub text: String,
    pub expected_epoch: Option<i64>,
    pub key: Key,
}

/// Who posts.
#[derive(Clone)]
pub(crate) enum Poster {
    Agent(Uuid),
    Bot { session: Uuid, buttons: Vec<Button> },
}

/// Gives the entry and its author's name. An agent of whom this service has not heard is refused as unknown.
pub(crate) async fn post_message(
    app: &App,
    caller: &Caller,
    command: PostMessage,
) -> Result<(Entry, Names), ConversationError> {
    let PostMessage { conversation, by, text, expected_epoch, key } = command;
    let agent = match by {
        Poster::Agent(agent) => Some(agent),
        Poster::Bot { .. } => None,
    };
    let decide = move |conversation: &mut Conversation, known: &Known<'_>| match &by {
        Poster::Agent(agent) => {
            must_be_active(known)?;
            conversation.agent_says(*agent, text.clone(), expected_epoch, known.now).map_err(No::Refused)
        }
        Poster::Bot { session, buttons } => {
            let content = Content::Message { text: text.clone(), buttons: buttons.clone(), chosen_button_id: None };
            conversation.bot_says(*session, content, expected_epoch, known.now).map_err(No::Refused)
        }
    };
    let decide = Arc::new(decide);
    let wanted = Wanted { account: caller.account, conversation, of_visitor: None, agent, key, decide };
    write(app, "conversation", wanted).await
}

/// Whoever writes may become the assignee, so they must be on the roster and active. Version 0: somebody named them in passing,
/// the roster has not spoken.
fn must_be_active(known: &Known<'_>) -> Result<(), No> {
    match known.agent.filter(|agent| agent.version > 0) {
        None => Err(No::AgentUnknown),
        Some(agent) if !agent.active => Err(No::AgentNotActive),
        Some(_) => Ok(()),
    }
}
