//! What a widget shows before a chat begins.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::get_attachment_limits::read_attachment_limits;
use crate::{
    App,
    domain::{AttachmentPolicy, Channel, Conversation, Greeting, OpenState, OpeningHours, Owner},
    error::ConversationError,
    store::{
        bots, channels, conversations,
        display_names::{self, DisplayNames},
        opening_hours,
    },
};

/// A channel as a visitor sees it.
pub(crate) struct Widget {
    pub(crate) channel: Channel,
    /// The bot that greets in a new chat. None: people answer.
    pub(crate) greeter: Option<Owner>,
    /// The visitor's open chat on it.
    pub(crate) open_chat: Option<Conversation>,
    /// Whether the visitor can start a chat.
    pub(crate) can_start_chat: bool,
    /// What may be attached. None: nothing.
    pub(crate) attachments: Option<AttachmentPolicy>,
    pub(crate) state: OpenState,
    pub(crate) names: DisplayNames,
}

pub(crate) async fn get_widget(app: &App, caller: &Caller, channel: Uuid) -> Result<Widget, ConversationError> {
    let (mut widget, hours) = read_widget(app, caller, channel).await?;
    if let Some(hours) = hours {
        widget.state = OpenState::new(&hours, app.db.now().await?);
    }
    Ok(widget)
}

/// The widget of a channel that is always open, and the channel's opening hours.
async fn read_widget(
    app: &App,
    caller: &Caller,
    channel: Uuid,
) -> Result<(Widget, Option<OpeningHours>), ConversationError> {
    let (account, visitor) = (caller.account, &caller.actor.id);
    // A token that was signed for one channel is valid for that channel only.
    if caller.scope.is_some_and(|scope| scope != channel) {
        return Err(ConversationError::NotFound("channel"));
    }
    let read = app.db.read_for(account).await?;
    let conn = read.conn();
    let channel = channels::find(&conn, account, channel).await?.ok_or(ConversationError::NotFound("channel"))?;
    if channel.is_deleted() {
        return Err(ConversationError::ChannelDeleted);
    }
    let bot = match channel.bot_id {
        Some(bot) => bots::find(&conn, account, bot).await?,
        None => None,
    };
    let greeter = match channel.greeting(bot.as_ref(), Uuid::nil(), None) {
        Greeting::Bot { bot, .. } => Some(Owner::bot(bot)),
        Greeting::Unassigned | Greeting::Routed { .. } => None,
    };
    let open_chat = conversations::find_open(&conn, account, channel.id, visitor).await?;
    let owners = greeter.into_iter().chain(open_chat.as_ref().and_then(|chat| chat.owner));
    let names = display_names::find_owners(&conn, account, owners).await?;
    let can_start_chat = !caller.is_anonymous_visitor() || channel.anonymous_visitors.is_some();
    let attachments = read_attachment_limits(app, &conn, account, true).await?;
    let hours = match channel.opening_hours_id {
        Some(hours) => opening_hours::find(&conn, account, hours).await?,
        None => None,
    };
    let state = OpenState::ALWAYS;
    Ok((Widget { channel, greeter, open_chat, can_start_chat, attachments, state, names }, hours))
}
