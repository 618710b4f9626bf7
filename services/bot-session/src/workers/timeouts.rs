//! Asks the conversation service about the sessions whose visitor may have been silent for the whole timeout (rules B4,
//! B5). The conversation's row decides: it closes the conversation, or answers the time at which the timeout ends now, or
//! that the session is not in charge.

use std::time::{Duration, Instant};

use sea_orm::DbErr;
use uuid::Uuid;

use super::clock_moves::ClockMoves;
use crate::{
    App, commands, conversation,
    domain::{DueSession, IdleOutcome, MAX_RETRY_PAUSE},
    store::{due_sessions, engine_turns, session_claims},
};

/// Maximum number of due sessions claimed at once: as many as the conversation service accepts in one call.
const BATCH: u64 = 500;

/// How long a claim lasts (seconds). After it another replica claims the sessions of one that crashed or stalled,
/// within the five seconds of rule B4. A call that takes longer is made twice, and the row closes once.
const CLAIM_DURATION: Duration = Duration::from_secs(3);

/// Maximum time from now to the end of a claim (seconds). One that ends later was made before the database's clock was set back, and is
/// void. Twice the duration of a claim: another replica may have read the time later.
const MAX_CLAIM_REMAINING: Duration = CLAIM_DURATION.saturating_mul(2);

/// Interval between two searches for claims and pauses that end too late (seconds).
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

/// Ends claims and pauses that end later than any of now can: the database's clock was set back since. Deletes the claims of replicas that
/// crashed.
async fn end_void_claims(app: &App) -> Result<(), DbErr> {
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    due_sessions::end_void_pauses(&tx, now, now.plus(MAX_RETRY_PAUSE)).await?;
    // A replica that stalls may have locked a claim that has just ended: PostgreSQL ends its transaction after three seconds.
    session_claims::delete_void(&tx, now.minus(2 * CLAIM_DURATION), now.plus(MAX_CLAIM_REMAINING)).await?;
    tx.commit().await
}

/// Due sessions that are claimed.
struct Claim {
    id: Uuid,
    /// Without those whose bots owe an answer.
    due: Vec<DueSession>,
    /// Number of sessions that were found.
    found: usize,
}

/// Sessions that were asked about, with the outcome of each.
struct Asked {
    claim: Uuid,
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
    let Claim { id: claim, due, found } = claim_due(app, moves).await?;
    // A full batch says that more sessions may be due.
    let pause = if found as u64 == BATCH { Duration::ZERO } else { MIN_PAUSE };
    if due.is_empty() {
        // Another replica has claimed them, or their bots owe an answer.
        return Ok(Asked { claim, due, outcomes: Vec::new(), pause });
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
    Ok(Asked { claim, due, outcomes, pause })
}

async fn store_outcomes(app: &App, asked: &Asked) -> Result<(), DbErr> {
    if asked.due.is_empty() {
        return Ok(());
    }
    let reminders = commands::settle_timeouts(app, asked.claim, &asked.due, &asked.outcomes).await?;
    if !reminders.is_empty() {
        // Beside the checks: no timeout waits for a reminder.
        let app = app.clone();
        tokio::spawn(async move { commands::send_reminders(&app, reminders).await });
    }
    Ok(())
}

/// Claims due sessions. A visitor who waits for an answer is not silent (rule B7), so that a session whose bot owes one is put off for as
/// long as a claim lasts.
async fn claim_due(app: &App, moves: &mut ClockMoves) -> Result<Claim, DbErr> {
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    let moved_from = moves.moved_from(now, app.clock.offset());
    let (until, latest) = (now.plus(CLAIM_DURATION), now.plus(MAX_CLAIM_REMAINING));
    let claimed = session_claims::list_sessions(&tx, now, latest).await?;
    let mut due = due_sessions::list_for_update(&tx, now, moved_from, claimed, BATCH).await?;
    let (id, found) = (tx.new_id(), due.len());
    if found > 0 {
        // Another replica may have claimed some before they were locked here.
        let claimed = session_claims::list_sessions(&tx, now, latest).await?;
        due.retain(|due| !claimed.contains(&due.session));
        let owing = engine_turns::list_owing(&tx, &due).await?;
        due_sessions::put_off(&tx, &owing, until).await?;
        due.retain(|due| !owing.contains(&due.session));
    }
    if !due.is_empty() {
        session_claims::insert(&tx, id, &due, until).await?;
    }
    tx.commit().await?;
    Ok(Claim { id, due, found })
}
