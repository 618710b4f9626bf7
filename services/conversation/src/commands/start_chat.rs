//! A visitor starts a chat (rules C1, C2a, B1, E3).

use frontdesk_auth::Caller;
use frontdesk_db::{Tx, is_unique_violation};
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::contact_of_visitor;
use crate::{
    App,
    domain::{Content, Conversation, Greeter, NewConversation, StartedWith, Status},
    error::ConversationError,
    store::{bots, channels, conversations, entity},
};

pub(crate) struct StartChat {
    pub channel: Uuid,
    pub page_url: String,
    pub page_title: String,
    /// May be empty.
    pub text: String,
    pub key: Key,
}

pub(crate) async fn start_chat(
    app: &App,
    caller: &Caller,
    command: StartChat,
) -> Result<Conversation, ConversationError> {
    match try_start(app, caller, &command).await {
        // Two first messages at once, at two replicas: the index let one in; the other finds it now (rule C2a).
        Err(ConversationError::Db(error)) if is_unique_violation(&error) => try_start(app, caller, &command).await,
        result => result,
    }
}

async fn try_start(app: &App, caller: &Caller, command: &StartChat) -> Result<Conversation, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let channel = channels::find(tx.conn(), caller.account, command.channel).await?;
    // A token that was signed with a channel's key knows that channel only.
    let channel = channel.filter(|channel| caller.scope.is_none_or(|scope| scope == channel.id));
    let channel = channel.ok_or(ConversationError::NotFound("channel"))?;
    let visitor = &caller.actor.id;
    if let Some(id) = command.key.claim::<Uuid>(&tx).await? {
        let first = conversations::find(tx.conn(), caller.account, id).await?;
        return first.ok_or(ConversationError::NotFound("chat"));
    }

    let now = tx.now().await?;
    let newest = conversations::find_newest_for_update(&tx, caller.account, channel.id, visitor).await?;
    let (mut conversation, new) = match newest {
        Some(mut open) if open.row.status == Status::Open => {
            contact_of_visitor::recognise(&mut tx, caller, &mut open, now).await?;
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
                visitor_id: visitor.clone(),
                contact_id: contact_of_visitor::known(&mut tx, caller, now).await?,
                page_url: command.page_url.clone(),
                page_title: command.page_title.clone(),
                previous_id: previous.map(|previous| previous.row.id),
                with: greeter(&tx, &channel).await?,
            };
            (Conversation::start(new, now), true)
        }
    };
    if !command.text.is_empty() {
        // An open conversation takes a message: this cannot be refused.
        let _ = conversation.visitor_says(Content::text(command.text.clone()), now);
    }
    if new {
        conversations::insert(&mut tx, &app.hints, &mut conversation).await?;
    } else {
        conversations::save(&mut tx, &app.hints, &mut conversation).await?;
    }
    command.key.store_result(&tx, &conversation.row.id).await?;
    tx.commit().await?;
    Ok(conversation)
}

/// Who greets: the channel's bot, if it is still there; people otherwise.
async fn greeter(tx: &Tx, channel: &entity::channels::Model) -> Result<StartedWith, ConversationError> {
    let bot = match (channel.greeter, channel.bot_id) {
        (Greeter::Nobody, _) => return Ok(StartedWith::Nobody),
        (Greeter::Bot, Some(bot)) => bots::find(tx.conn(), channel.account_id, bot).await?.filter(|bot| !bot.deleted),
        (Greeter::Bot | Greeter::Routing, _) => None,
    };
    Ok(match bot {
        Some(bot) => StartedWith::Bot { id: bot.id, session: tx.new_id(), timeout_us: bot.timeout_us },
        None => StartedWith::Routing,
    })
}
