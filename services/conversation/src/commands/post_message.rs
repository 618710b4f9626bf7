//! An agent, or the bot in charge, posts a message (rules C4, C11, C12, A3).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::{explain, made_before};
use crate::{
    App,
    domain::{Button, Content, Entry},
    error::ConversationError,
    store::{conversations, names},
};

pub(crate) struct PostMessage {
    pub conversation: Uuid,
    pub by: Poster,
    pub text: String,
    pub expected_epoch: Option<i64>,
    pub key: Key,
}

/// Who posts.
pub(crate) enum Poster {
    Agent(Uuid),
    Bot { session: Uuid, buttons: Vec<Button> },
}

pub(crate) async fn post_message(app: &App, caller: &Caller, command: PostMessage) -> Result<Entry, ConversationError> {
    let mut tx = app.db.begin().await?;
    let conversation = conversations::find_for_update(&tx, caller.account, command.conversation).await?;
    let mut conversation = conversation.ok_or(ConversationError::NotFound("conversation"))?;
    if let Some(sequence) = command.key.claim(&tx).await? {
        return made_before(&tx, caller.account, command.conversation, sequence).await;
    }

    let now = tx.now().await?;
    let posted = match command.by {
        Poster::Agent(agent) => {
            names::mention_agent(&tx, caller.account, agent, caller.name.as_deref().unwrap_or_default()).await?;
            conversation.agent_says(agent, command.text, command.expected_epoch, now)
        }
        Poster::Bot { session, buttons } => {
            let content = Content::Message { text: command.text, buttons, chosen_button_id: None };
            conversation.bot_says(session, content, command.expected_epoch, now)
        }
    };
    match posted {
        Ok(entry) => {
            conversations::save(&mut tx, &app.hints, &mut conversation).await?;
            command.key.keep(&tx, &entry.sequence).await?;
            tx.commit().await?;
            Ok(entry)
        }
        Err(refused) => Err(explain(&tx, conversation, refused).await),
    }
}
