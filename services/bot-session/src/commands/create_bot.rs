//! Creates a bot (rule B2).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use crate::{
    App,
    domain::{Bot, BotSummary, Flow, InactivityTimeout},
    error::BotSessionError,
    store,
};

/// The bot to create.
#[derive(Debug)]
pub(crate) struct CreateBot {
    pub(crate) name: String,
    pub(crate) timeout: InactivityTimeout,
    /// A flow that passed validation.
    pub(crate) flow: Flow,
}

/// Creates a bot. A repeat of the request returns the bot that the first one created, as it is now.
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

    let now = tx.now().await?;
    let summary = BotSummary {
        id: tx.new_id(),
        account: caller.account,
        name: command.name,
        timeout: command.timeout,
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    let bot = Bot { summary, flow: command.flow };
    store::bots::insert(&tx, &bot).await?;
    store::events::append_bot_created(&mut tx, &bot).await?;
    key.store_result(&tx, &bot.summary.id).await?;

    tx.commit().await?;
    Ok(bot)
}
