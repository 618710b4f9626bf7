//! Creates a bot (rule B2).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{require_active_caller, require_references, store_opening_hours};
use crate::{
    App,
    domain::{Bot, BotSummary, InactivityTimeout, OpeningHours, Program, Reminder},
    error::BotSessionError,
    store,
};

/// The bot to create.
#[derive(Debug)]
pub(crate) struct CreateBot {
    pub(crate) name: String,
    pub(crate) timeout: InactivityTimeout,
    /// An engine, or a flow that passed validation.
    pub(crate) program: Program,
    pub(crate) reminder: Option<Reminder>,
}

/// Creates a bot. A repeat of the request returns the bot that the first one created, as it is now.
pub(crate) async fn create_bot(
    app: &App,
    caller: &Caller,
    key: &Key,
    command: CreateBot,
) -> Result<Bot, BotSessionError> {
    let hours = check_unless_repeated(app, caller, key, &command.program).await?;
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
    let bot = Bot { summary, program: command.program, reminder: command.reminder };
    store::bots::insert(&tx, &bot).await?;
    store_opening_hours(&tx, hours).await?;
    store::events::append_bot_created(&mut tx, &bot).await?;
    key.store_result(&tx, &bot.summary.id).await?;

    tx.commit().await?;
    Ok(bot)
}

/// Checks the calling agent and what the flow names, and returns the opening hours that it names. A repeat gets the first answer, also
/// when an agent was deactivated since, so it does not ask.
async fn check_unless_repeated(
    app: &App,
    caller: &Caller,
    key: &Key,
    program: &Program,
) -> Result<Vec<OpeningHours>, BotSessionError> {
    let read = app.db.read_for(caller.account).await?;
    let is_repeat = key.find::<Uuid>(&read.conn()).await?.is_some();
    // The read ends before another service is asked.
    drop(read);
    if is_repeat {
        return Ok(Vec::new());
    }
    require_active_caller(app, caller).await?;
    require_references(app, caller.account, program.references()).await
}
