//! Moves on the turns that no stream took, or that an engine did not answer in time: they are sent again, or the chat goes to the team
//! (rule B7).

use std::time::Duration;

use frontdesk_db::Retention;
use futures::StreamExt;
use sea_orm::DbErr;

use crate::{
    App,
    conversation::{self, CallError},
    domain::{BotAction, EngineTurn, HandOffTarget, TurnState},
    store::{self, engine_turns},
};

/// Maximum number of turns that are moved on in one transaction.
const BATCH: u64 = 100;

/// Maximum number of chats that are handed to the team at the same time.
const CONCURRENT: usize = 8;

/// Pause after a failed read (milliseconds).
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Maximum pause between two reads of the next time (seconds), so that turns stored at other replicas are seen.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Minimum pause between two reads of the next time (milliseconds).
const MIN_PAUSE: Duration = Duration::from_millis(20);

/// Turns are kept for 14 days, longer than the request ids of their answers. None is open for as long: it is late within hours.
const RETENTION: Retention = Retention {
    table: "engine_turns",
    time_column: "created_at",
    order_column: "created_at",
    keep: Duration::from_secs(14 * 24 * 3600),
    batch: 1_000,
};

/// Deletes old turns until the shutdown.
pub(crate) async fn forget_old_turns(app: App) {
    frontdesk_db::delete_expired(&app.db, &[RETENTION], app.shutdown.clone()).await;
}

/// Moves turns on until the shutdown.
pub(crate) async fn watch_engine_turns(app: App) {
    while !app.shutdown.is_cancelled() {
        let pause = match move_on_due(&app).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "the turns of engines cannot be moved on; retrying");
                RETRY_PAUSE
            }
        };
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            // The pause counts by the database's clock, so this machine's clock may be wrong. Moving the development
            // clock ends it.
            () = app.clock.sleep(pause) => {}
        }
    }
}

/// Moves on up to [`BATCH`] turns. Returns how long to wait before the next read.
async fn move_on_due(app: &App) -> Result<Duration, DbErr> {
    let Some(next_due_at) = engine_turns::find_next_due_at(app.db.read()).await? else { return Ok(MAX_PAUSE) };
    let now = app.db.now().await?;
    if next_due_at > now {
        return Ok(next_due_at.since(now).clamp(MIN_PAUSE, MAX_PAUSE));
    }
    let due = expire(app).await?;
    let late = due.into_iter().filter(|turn| turn.state == TurnState::Late);
    futures::stream::iter(late).for_each_concurrent(CONCURRENT, |turn| async move { hand_off(app, &turn).await }).await;
    Ok(MIN_PAUSE)
}

/// Moves on the turns whose time has come. Those that are late now are this replica's to hand off, until their next time.
async fn expire(app: &App) -> Result<Vec<EngineTurn>, DbErr> {
    let mut tx = app.db.begin().await?;
    let now = tx.now().await?;
    let mut due = engine_turns::list_due_for_update(&tx, now, BATCH).await?;
    for turn in &mut due {
        let session = store::sessions::find(tx.conn(), turn.account, turn.session).await?;
        match session.is_some_and(|session| session.is_open()) {
            true => turn.expire(now),
            false => turn.end(),
        }
        engine_turns::save(&tx, turn).await?;
        app.turn_signals.wake_on_commit(&mut tx, turn.account, turn.bot);
    }
    tx.commit().await?;
    Ok(due)
}

/// Hands the chat to the team. When that fails, the turn's next time is the next attempt.
async fn hand_off(app: &App, turn: &EngineTurn) {
    match try_hand_off(app, turn).await {
        Ok(()) => {
            tracing::info!(turn_id = %turn.id, attempt = turn.attempt, "an engine is gone or slow; the chat goes to the team")
        }
        Err(error) => tracing::warn!(%error, turn_id = %turn.id, "a chat cannot be handed to the team; trying again"),
    }
}

async fn try_hand_off(app: &App, turn: &EngineTurn) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if let Some(session) = store::sessions::find(app.db.read(), turn.account, turn.session).await? {
        let action = BotAction::HandOff { reason: turn.hand_off_reason().to_owned(), to: HandOffTarget::default() };
        match conversation::perform(&app.conversation, &session, &action, format!("turn-{}-late", turn.id)).await {
            Ok(_) | Err(CallError::SessionOver) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let tx = app.db.begin().await?;
    if let Some(mut turn) = engine_turns::find_for_update(&tx, turn.account, turn.bot, turn.id).await? {
        turn.end();
        engine_turns::save(&tx, &turn).await?;
    }
    tx.commit().await?;
    Ok(())
}
