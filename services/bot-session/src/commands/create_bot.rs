//! Creating a bot.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use frontdesk_outbox::append;
use frontdesk_proto::event::v1::BotCreated;
use uuid::Uuid;

use super::bot_aggregate;
use crate::{
    App,
    domain::{Bot, Flow, Timeout},
    error::BotSessionError,
    store,
};

/// What bot.
#[derive(Debug)]
pub(crate) struct CreateBot {
    pub(crate) name: String,
    pub(crate) timeout: Timeout,
    /// A sound one.
    pub(crate) flow: Flow,
}

/// Creates a bot; a repeat gives the one back that was made first.
pub(crate) async fn create_bot(
    app: &App,
    caller: &Caller,
    key: &Key,
    command: CreateBot,
) -> Result<Bot, BotSessionError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    if let Some(id) = key.claim::<Uuid>(&tx).await? {
        return store::bots::find(tx.conn(), caller.account, id).await?.ok_or(BotSessionError::NotFound("bot"));
    }
    let bot = Bot {
        id: tx.new_id(),
        account: caller.account,
        name: command.name,
        timeout: command.timeout,
        flow: command.flow,
        deleted: false,
        version: 1,
        created_at: tx.now().await?,
    };
    store::bots::insert(&tx, &bot).await?;
    key.store_result(&tx, &bot.id).await?;
    append(&mut tx, bot_aggregate(&bot), &BotCreated { bot_id: bot.id.to_string() }).await?;
    tx.commit().await?;
    Ok(bot)
}
