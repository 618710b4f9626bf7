//! Leases turns to a stream of an engine (rule B7).

use frontdesk_db::AccountId;
use uuid::Uuid;

use crate::{App, domain::EngineTurn, error::BotSessionError, store::engine_turns};

/// Leases waiting turns of the bot to the stream, so that it has `max` of them at most. Returns those that it got now, the oldest first.
pub(crate) async fn lease_turns(
    app: &App,
    account: AccountId,
    bot: Uuid,
    stream: Uuid,
    max: u64,
) -> Result<Vec<EngineTurn>, BotSessionError> {
    let read = app.db.read_for(account).await?;
    if !engine_turns::has_waiting(&read.conn(), account, bot).await? {
        return Ok(Vec::new());
    }
    // Only the stream itself leases turns to it.
    let room = max.saturating_sub(engine_turns::count_leased(&read.conn(), account, stream).await?);
    drop(read);
    if room == 0 {
        return Ok(Vec::new());
    }
    let tx = app.db.begin_for(account).await?;
    let mut turns = engine_turns::list_waiting_for_update(&tx, account, bot, room).await?;
    let now = tx.now().await?;
    for turn in &mut turns {
        turn.lease(stream, now);
        engine_turns::save(&tx, turn).await?;
    }
    tx.commit().await?;
    Ok(turns)
}
