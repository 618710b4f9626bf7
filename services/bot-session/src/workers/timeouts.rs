//! Asks the conversation service about the sessions whose visitor may have been silent for the whole timeout (rules B4,
//! B5). The conversation's row decides: it closes the conversation, or answers the time at which the timeout ends now, or
//! that the session is not in charge.

use std::time::{Duration, Instant};

use sea_orm::DbErr;

use super::clock_moves::ClockMoves;
use crate::{
    App, commands, conversation,
    domain::{DueSession, IdleOutcome, MAX_RETRY_PAUSE},
    store::{due_sessions, engine_turns},
};

/// Maximum number of due sessions claimed at once: as many as the conversation service accepts in one call.
const BATCH: u64 = 500;

/// How long a claim lasts (seconds). After it another replica claims the sessions of one that crashed or stalled,
/// within the five seconds of rule B4. A call that takes longer is made twice, and the row closes once.
const CLAIM_DURATION: Duration = Duration::from_secs(3);

/// Interval between two searches for claims that end too late (seconds).
const VOID_CLAIMS_INTERVAL: Duration = Duration::from_secs(5);

/// Pause after a failed call or read (milliseconds).
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Maximum pause between two reads of the next check (seconds), so that sessions started at other replicas are seen.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Minimum pause between two reads of the next check (milliseconds).
const MIN_PAUSE: Duration = Duration::from_millis(20);

/// Settles due sessions until the shutdown.
pub(crate) async fn watch_timeouts(app: App) {
    let mut searched: Option<Instant> = None;
    let mut moves = ClockMoves::new(app.clock.offset());
    while !app.shutdown.is_cancelled() {
        if searched.is_none_or(|searched| searched.elapsed() >= VOID_CLAIMS_INTERVAL) {
            searched = Some(Instant::now());
            if let Err(error) = end_void_claims(&app).await {
                tracing::warn!(%error, "claims that end too late cannot be ended; trying again");
            }
        }
        let pause = match settle_due(&app, &mut moves).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "the due sessions cannot be read; retrying");
                RETRY_PAUSE
            }
        };
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            () = app.session_started.notified() => {}
            // The pause counts by the database's clock, so this machine's clock may be wrong. Moving the development
            // clock ends it.
            () = app.clock.sleep(pause) => {}
        }
    }
}

/// Ends claims and pauses that end later than any of now can: the database's clock was set back since. A session that is claimed
/// still is asked about twice, and the row closes once.
async fn end_void_claims(app: &App) -> Result<(), DbErr> {
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    due_sessions::end_void_claims(&tx, now, now.plus(MAX_RETRY_PAUSE)).await?;
    tx.commit().await
}

/// Sessions that were asked about, with the outcome of each.
struct Asked {
    due: Vec<DueSession>,
    outcomes: Vec<IdleOutcome>,
    /// How long to wait before the next read. Zero: more sessions may be due.
    pause: Duration,
}

/// Settles due sessions, in batches, as long as more may be due. While the outcomes of a batch are stored, the next one is asked about; only
/// one is asked about at a time. Returns how long to wait before the next read.
async fn settle_due(app: &App, moves: &mut ClockMoves) -> Result<Duration, DbErr> {
    let Some(next_check_at) = due_sessions::find_next_check_at(app.db.read()).await? else { return Ok(MAX_PAUSE) };
    let now = app.db.now().await?;
    if next_check_at > now {
        return Ok(next_check_at.since(now).clamp(MIN_PAUSE, MAX_PAUSE));
    }

    let mut asked = ask_about_due(app, moves).await?;
    while asked.pause.is_zero() && !app.shutdown.is_cancelled() {
        let (next, stored) = tokio::join!(ask_about_due(app, moves), store_outcomes(app, &asked));
        // If it failed, both batches are asked about again when their claims end.
        stored?;
        asked = next?;
    }
    store_outcomes(app, &asked).await?;
    Ok(asked.pause)
}

/// Claims up to [`BATCH`] due sessions and asks about them.
async fn ask_about_due(app: &App, moves: &mut ClockMoves) -> Result<Asked, DbErr> {
    let (due, claimed) = claim_due(app, moves).await?;
    // A full batch says that more sessions may be due.
    let pause = if claimed as u64 == BATCH { Duration::ZERO } else { MIN_PAUSE };
    if due.is_empty() {
        // Another replica has claimed them, or their bots owe an answer.
        return Ok(Asked { due, outcomes: Vec::new(), pause });
    }
    fail::fail_point!("timeouts-claimed", |_| std::process::abort());
    let (outcomes, pause) = match conversation::close_idle(&app.conversation, &due).await {
        Ok(outcomes) => (outcomes, pause),
        Err(error) => {
            tracing::warn!(%error, sessions = due.len(), "idle conversations could not be closed; retrying");
            (vec![IdleOutcome::CallFailed; due.len()], RETRY_PAUSE)
        }
    };
    fail::fail_point!("timeouts-asked", |_| std::process::abort());
    Ok(Asked { due, outcomes, pause })
}

async fn store_outcomes(app: &App, asked: &Asked) -> Result<(), DbErr> {
    if asked.due.is_empty() {
        return Ok(());
    }
    let reminders = commands::settle_timeouts(app, &asked.due, &asked.outcomes).await?;
    if !reminders.is_empty() {
        // Beside the checks: no timeout waits for a reminder.
        let app = app.clone();
        tokio::spawn(async move { commands::send_reminders(&app, reminders).await });
    }
    Ok(())
}

/// Claims due sessions. Returns those to ask about, and how many were claimed: a visitor who waits for an answer is not silent (rule
/// B7), so that a session whose bot owes one is looked at again when the claim ends.
async fn claim_due(app: &App, moves: &mut ClockMoves) -> Result<(Vec<DueSession>, usize), DbErr> {
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    let moved_from = moves.moved_from(now, app.clock.offset());
    let mut due = due_sessions::claim(&tx, now, moved_from, now.plus(CLAIM_DURATION), BATCH).await?;
    let claimed = due.len();
    if !due.is_empty() {
        let owing = engine_turns::list_owing(&tx, &due).await?;
        due.retain(|due| !owing.contains(&due.session));
    }
    tx.commit().await?;
    Ok((due, claimed))
}
