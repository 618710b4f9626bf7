//! A visitor starts a chat (rules C1, C2a, B1, E3).

use frontdesk_auth::Caller;
use frontdesk_db::{Tx, is_unique_violation};
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{contact_of_visitor, recognise};
use crate::{
    App,
    domain::{Channel, Content, Conversation, Greeting, NewConversation},
    error::ConversationError,
    store::{bots, channels, conversations},
};

pub(crate) struct StartChat {
    pub(crate) channel: Uuid,
    pub(crate) page_url: String,
    pub(crate) page_title: String,
    /// The first message. Empty: none.
    pub(crate) text: String,
    pub(crate) key: Key,
}

pub(crate) async fn start_chat(
    app: &App,
    caller: &Caller,
    command: StartChat,
) -> Result<Conversation, ConversationError> {
    match try_start(app, caller, &command).await {
        // Two starts ran concurrently at two replicas: the unique index accepted one, and the other finds it now (rule C2a).
        Err(ConversationError::Db(error)) if is_unique_violation(&error) => try_start(app, caller, &command).await,
        result => result,
    }
}

async fn try_start(app: &App, caller: &Caller, command: &StartChat) -> Result<Conversation, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let channel = channels::find(tx.conn(), caller.account, command.channel).await?;
    // A token that was signed with a channel's key is valid for that channel only.
    let channel = channel.filter(|channel| caller.scope.is_none_or(|scope| scope == channel.id));
    let channel = channel.ok_or(ConversationError::NotFound("channel"))?;
    if let Some(id) = command.key.claim::<Uuid>(&tx).await? {
        let first = conversations::find(tx.conn(), caller.account, id).await?;
        return first.ok_or(ConversationError::NotFound("chat"));
    }

    let now = tx.now().await?;
    let newest = conversations::find_newest_for_update(&tx, caller.account, channel.id, &caller.actor.id).await?;
    let (mut conversation, is_new) = match newest {
        Some(mut open) if open.is_open() => {
            recognise(&mut tx, caller, &mut open, now).await?;
            (open, false)
        }
        previous => {
            if channel.deleted {
                return Err(ConversationError::ChannelDeleted);
            }
            let new = NewConversation {
                id: tx.new_id(),
                account: caller.account,
                channel_id: channel.id,
                visitor_id: caller.actor.id.clone(),
                contact_id: contact_of_visitor(&mut tx, caller, now).await?,
                page_url: command.page_url.clone(),
                page_title: command.page_title.clone(),
                previous_id: previous.map(|previous| previous.id),
                greeting: greeting(&tx, &channel).await?,
            };
            (Conversation::start(new, now), true)
        }
    };
    if !command.text.is_empty() {
        // An open conversation takes a message: this cannot be rejected.
        let _ = conversation.append_visitor_message(Content::text(command.text.clone()), now);
    }
    if is_new {
        conversations::insert(&mut tx, &app.notifier, &mut conversation).await?;
    } else {
        conversations::save(&mut tx, &app.notifier, &mut conversation).await?;
    }
    command.key.store_result(&tx, &conversation.id).await?;
    tx.commit().await?;
    Ok(conversation)
}

async fn greeting(tx: &Tx, channel: &Channel) -> Result<Greeting, ConversationError> {
    let bot = match channel.bot_id {
        Some(bot) => bots::find(tx.conn(), channel.account, bot).await?,
        None => None,
    };
    Ok(channel.greeting(bot.as_ref(), tx.new_id()))
}
