//! A visitor starts a chat (rules C1, C2a, C12, B1, E3).

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::{Tx, is_unique_violation};
use frontdesk_idempotency::Key;
use serde::Deserialize;
use uuid::Uuid;

use super::steps::{
    LockedVisitor, MAX_START_ATTEMPTS, Started, StoredStart, display_name, find_contact_owner, give_language,
    recognise, require_channel, unusable_token_email,
};
use crate::{
    App,
    domain::{Channel, Content, Conversation, Greeting, NewConversation, NotAdmitted, StartContext},
    error::ConversationError,
    store::{bots, conversations},
};

pub(crate) struct StartChat {
    pub(crate) channel: Uuid,
    pub(crate) context: StartContext,
    /// The first message. Empty: none.
    pub(crate) text: String,
    pub(crate) request_id: String,
    pub(crate) key: Key,
}

/// The stored result of a request: this release's, or that of the release before, which stored the conversation only.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyStoredResult {
    Current(StoredStart),
    ConversationOnly(Uuid),
}

/// For a repeat: the result of the first request, with the conversation as it is now.
pub(crate) async fn start_chat(app: &App, caller: &Caller, command: StartChat) -> Result<Started, ConversationError> {
    for _ in 1..MAX_START_ATTEMPTS {
        match try_start(app, caller, &command).await {
            Err(ConversationError::Db(error)) if is_unique_violation(&error) => {}
            result => return result,
        }
    }
    try_start(app, caller, &command).await
}

async fn try_start(app: &App, caller: &Caller, command: &StartChat) -> Result<Started, ConversationError> {
    // A token that was signed with a channel's key is valid for that channel only.
    if caller.scope.is_some_and(|scope| scope != command.channel) {
        return Err(ConversationError::NotFound("channel"));
    }
    let mut tx = app.db.begin_for(caller.account).await?;
    let visitor = LockedVisitor::lock(&tx, caller, None).await?;
    if let Some(first) = command.key.claim::<AnyStoredResult>(&tx).await? {
        return repeat(&tx, caller, first.into()).await;
    }

    let newest = conversations::find_newest_for_update(&tx, caller.account, command.channel, &caller.actor.id).await?;
    // Read after the lock: what committed while this call waited for it happened before.
    let now = tx.now().await?;
    let (mut conversation, resumed) = match newest {
        Some(mut open) if open.is_open() => {
            recognise(app, &mut tx, caller, &visitor, &mut open, now).await?;
            (open, true)
        }
        previous => {
            let now = previous.as_ref().map_or(now, |previous| previous.time_after(now));
            let contact = visitor.contact(app, &mut tx, None, now).await?;
            let new = new_conversation(&tx, caller, previous, command, contact, now).await?;
            give_language(&mut tx, &new, now).await?;
            (new, false)
        }
    };
    let text = Some(&command.text).filter(|text| !text.is_empty());
    let request_id = || Some(command.request_id.clone());
    let message = text.map(|text| conversation.append_visitor_message(Content::text(text.clone()), request_id(), now));
    let entry = message.transpose().map_err(ConversationError::rejected)?;
    if resumed {
        conversations::save(&mut tx, &app.notifier, &mut conversation).await?;
    } else {
        conversations::insert(&mut tx, &app.notifier, &mut conversation).await?;
    }
    let started = Started { conversation, entry, resumed };
    command.key.store_result(&tx, &started.stored()).await?;
    tx.commit().await?;
    Ok(started)
}

async fn repeat(tx: &Tx, caller: &Caller, first: StoredStart) -> Result<Started, ConversationError> {
    let conversation = conversations::find(tx.conn(), caller.account, first.conversation).await?;
    // A chat that another visitor claimed since is not the caller's any more.
    let own = conversation.filter(|conversation| conversation.visitor_id == caller.actor.id);
    let conversation = own.ok_or(ConversationError::NotFound("chat"))?;
    first.load(tx, conversation).await
}

async fn new_conversation(
    tx: &Tx,
    caller: &Caller,
    previous: Option<Conversation>,
    command: &StartChat,
    contact_id: Option<Uuid>,
    now: Time,
) -> Result<Conversation, ConversationError> {
    let channel = require_channel(tx, caller.account, command.channel).await?;
    if caller.is_anonymous_visitor() && channel.anonymous_visitors.is_none() {
        return Err(ConversationError::NotAdmitted(NotAdmitted::Disabled));
    }
    let new = NewConversation {
        id: tx.new_id(),
        account: caller.account,
        channel_id: channel.id,
        visitor_id: caller.actor.id.clone(),
        visitor_name: display_name(caller.name.as_deref().unwrap_or_default()),
        unusable_token_email: unusable_token_email(caller),
        contact_id,
        context: command.context.clone(),
        previous_id: previous.map(|previous| previous.id),
        greeting: greeting(tx, &channel, contact_id).await?,
    };
    Ok(Conversation::start(new, now))
}

async fn greeting(tx: &Tx, channel: &Channel, contact: Option<Uuid>) -> Result<Greeting, ConversationError> {
    let bot = match channel.bot_id {
        Some(bot) => bots::find(tx.conn(), channel.account, bot).await?,
        None => None,
    };
    // Only routing asks for the owner.
    let greets = bot.as_ref().is_some_and(|bot| !bot.deleted);
    let contact = contact.filter(|_| !greets && channel.policy_without_bot().is_some());
    let owner = find_contact_owner(tx, channel.account, contact).await?;
    Ok(channel.greeting(bot.as_ref(), tx.new_id(), owner))
}

impl From<AnyStoredResult> for StoredStart {
    fn from(stored: AnyStoredResult) -> Self {
        match stored {
            AnyStoredResult::Current(result) => result,
            AnyStoredResult::ConversationOnly(conversation) => Self { conversation, message: None, resumed: false },
        }
    }
}
