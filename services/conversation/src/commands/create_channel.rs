//! A channel is created.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{ChannelReferences, ReferenceCopies, require_active_caller, require_known_caller};
use crate::{
    App,
    domain::{AnonymousVisitors, Channel},
    error::ConversationError,
    store::channels,
};

pub(crate) struct CreateChannel {
    pub(crate) name: String,
    pub(crate) website_url: String,
    /// The bot that conversations start with. None: they start unassigned.
    pub(crate) bot: Option<Uuid>,
    /// None: conversations are not routed.
    pub(crate) routing_policy: Option<Uuid>,
    /// None: the default one.
    pub(crate) hand_off_policy: Option<Uuid>,
    pub(crate) transcript_enabled: bool,
    pub(crate) transcript_sender_id: Option<Uuid>,
    pub(crate) time_zone: String,
    pub(crate) language: String,
    pub(crate) anonymous_visitors: Option<AnonymousVisitors>,
    /// None: it is always open.
    pub(crate) opening_hours: Option<Uuid>,
    pub(crate) key: Key,
}

pub(crate) async fn create_channel(
    app: &App,
    caller: &Caller,
    command: CreateChannel,
) -> Result<Channel, ConversationError> {
    require_known_caller(app, caller).await?;
    let copies = find_unless_repeated(app, caller, &command).await?;
    let mut tx = app.db.begin_for(caller.account).await?;
    if let Some(id) = command.key.claim(&tx).await? {
        return channels::find(tx.conn(), caller.account, id).await?.ok_or(ConversationError::NotFound("channel"));
    }

    require_active_caller(&tx, caller).await?;
    copies.save(&tx).await?;
    let now = tx.now().await?;
    let channel = Channel {
        id: tx.new_id(),
        account: caller.account,
        name: command.name,
        website_url: command.website_url,
        bot_id: command.bot,
        routing_policy_id: command.routing_policy,
        hand_off_policy_id: command.hand_off_policy,
        transcript_enabled: command.transcript_enabled,
        transcript_sender_id: command.transcript_sender_id,
        time_zone: command.time_zone,
        language: command.language,
        anonymous_visitors: command.anonymous_visitors,
        opening_hours_id: command.opening_hours,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        version: 1,
    };
    channels::insert(&mut tx, &channel).await?;
    command.key.store_result(&tx, &channel.id).await?;
    tx.commit().await?;
    Ok(channel)
}

/// Checks that bot, routing policies, sender address and opening hours exist; returns what is kept of them. A repeat gets the first
/// answer, also when they were deleted since, so it does not ask.
async fn find_unless_repeated(
    app: &App,
    caller: &Caller,
    command: &CreateChannel,
) -> Result<ReferenceCopies, ConversationError> {
    let named = ChannelReferences {
        bot: command.bot,
        sender: command.transcript_sender_id,
        opening_hours: command.opening_hours,
        routing_policies: [command.routing_policy, command.hand_off_policy],
    };
    if named.is_empty() {
        return Ok(ReferenceCopies::default());
    }
    let read = app.db.read_for(caller.account).await?;
    let is_repeat = command.key.find::<Uuid>(&read.conn()).await?.is_some();
    // The read ends before another service is asked.
    drop(read);
    if is_repeat {
        return Ok(ReferenceCopies::default());
    }
    named.find(app, caller.account).await
}
