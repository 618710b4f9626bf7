//! The team, or the bot in charge, posts a message (rules C4, C5, C6, C11, C12, A3).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{
    Begun, ConversationChange, append_message, append_with_attachments, fill_placeholders, find_entry, freeze_inserts,
    require_known_author,
};
use crate::{
    App,
    domain::{AppendMessage, Entry},
    error::ConversationError,
    store::{
        agents,
        display_names::{self, DisplayNames},
    },
    workers::WriteRequest,
};

pub(crate) struct PostMessage {
    pub(crate) conversation: Uuid,
    /// By the team or a bot; without inserts.
    pub(crate) message: AppendMessage,
    /// Inserts of the library that it gets.
    pub(crate) inserts: Vec<Uuid>,
    /// Whether placeholders in the text are filled.
    pub(crate) fills_placeholders: bool,
    /// Attachments that it sends.
    pub(crate) attachments: Vec<Uuid>,
    pub(crate) key: Key,
}

/// Returns the entry and its author's name.
pub(crate) async fn post_message(
    app: &App,
    caller: &Caller,
    command: PostMessage,
) -> Result<(Entry, DisplayNames), ConversationError> {
    let PostMessage { conversation, mut message, inserts: ids, fills_placeholders, attachments, key } = command;
    require_known_author(app, caller).await?;
    // Before the message queues: the writer's transaction reads nothing more for it.
    if (fills_placeholders || !ids.is_empty()) && !is_repeat(app, caller, &key).await? {
        let by_bot = matches!(message, AppendMessage::Bot { .. });
        let content = message.message_mut();
        if fills_placeholders {
            content.text = fill_placeholders(app, caller, conversation, &content.text).await?;
        }
        if !ids.is_empty() {
            content.inserts = freeze_inserts(app, caller, conversation, &ids, by_bot).await?;
        }
    }
    if !attachments.is_empty() {
        let entry = post_with_attachments(app, caller, conversation, message, &attachments, key).await?;
        let read = app.db.read_for(caller.account).await?;
        let entries = std::slice::from_ref(&entry);
        let names = display_names::find_in_entries(&read.conn(), caller.account, entries).await?;
        return Ok((entry, names));
    }
    let request = WriteRequest { account: caller.account, conversation, message, key };
    append_message(app, caller, "conversation", request).await
}

async fn post_with_attachments(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    message: AppendMessage,
    attachments: &[Uuid],
    key: Key,
) -> Result<Entry, ConversationError> {
    match ConversationChange::begin(app, caller, conversation, Some(key)).await? {
        Begun::First(begun) => {
            let agent = match message.agent() {
                Some(agent) => agents::find(begun.tx.conn(), caller.account, agent).await?,
                None => None,
            };
            append_with_attachments(begun, message, attachments, agent.as_ref()).await
        }
        Begun::Repeat(begun, sequence) => find_entry(begun.tx.conn(), caller.account, conversation, sequence).await,
    }
}

/// A repeat gets the first answer, also when an insert was deleted since (rule C12).
async fn is_repeat(app: &App, caller: &Caller, key: &Key) -> Result<bool, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(key.find::<i64>(&read.conn()).await?.is_some())
}
