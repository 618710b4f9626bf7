//! A channel is created.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use crate::{
    App,
    domain::Greeter,
    error::ConversationError,
    store::{bots, channels, entity},
};

pub(crate) struct CreateChannel {
    pub name: String,
    pub website_url: String,
    pub greeter: Greeter,
    /// For [`Greeter::Bot`]: the bot as its service knows it now.
    pub bot: Option<entity::bots::Model>,
    pub transcript_enabled: bool,
    pub transcript_sender_id: Option<Uuid>,
    pub time_zone: String,
    pub key: Key,
}

pub(crate) async fn create_channel(
    app: &App,
    caller: &Caller,
    command: CreateChannel,
) -> Result<entity::channels::Model, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    if let Some(id) = command.key.claim(&tx).await? {
        return channels::find(tx.conn(), caller.account, id).await?.ok_or(ConversationError::NotFound("channel"));
    }

    let bot_id = command.bot.as_ref().map(|bot| bot.id);
    if let Some(bot) = command.bot {
        bots::keep(&tx, bot).await?;
    }
    let channel = entity::channels::Model {
        id: tx.new_id(),
        account_id: caller.account,
        name: command.name,
        website_url: command.website_url,
        greeter: command.greeter,
        bot_id,
        transcript_enabled: command.transcript_enabled,
        transcript_sender_id: command.transcript_sender_id,
        time_zone: command.time_zone,
        deleted: false,
        created_at: tx.now().await?,
        version: 1,
    };
    channels::insert(&mut tx, &channel).await?;
    command.key.store_result(&tx, &channel.id).await?;
    tx.commit().await?;
    Ok(channel)
}
