//! The timers: notices on time that a visitor may have been silent for too long, and asks the conversation's row (rules B4,
//! B5). It never decides by itself: the row closes, or says when to ask again, or that the session is not in charge.

use std::time::Duration;

use frontdesk_clock::Time;
use sea_orm::DbErr;

use crate::{
    App,
    commands::ended,
    conversation::{self, CallError, Idle},
    domain::Status,
    store::{
        self,
        timers::{self, Due},
    },
};

/// As many as the conversation service takes in one call.
const BATCH: u64 = 500;
/// Longer than a call may take, so that only a dead replica's claims are claimed again.
const LEASE: Duration = Duration::from_secs(15);
/// After a call that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Another replica's sessions are seen at least so often.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(1);
/// And at most so often.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(20);

/// Watches the deadlines of open sessions until it is told to stop.
pub(crate) async fn watch_deadlines(app: App) {
    while !app.shutdown.is_cancelled() {
        let next = match settle_due(&app).await {
            Ok(full) if full => continue,
            Ok(_) => timers::next(app.db.read()).await,
            Err(error) => Err(error),
        };
        let next = match next {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "the timers could not be read; trying again");
                None
            }
        };
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            () = app.session_began.notified() => {}
            () = until(&app, next) => {}
            () = tokio::time::sleep(LOOK_AT_LEAST_EVERY) => {}
        }
    }
}

async fn until(app: &App, moment: Option<Time>) {
    match moment {
        Some(moment) => {
            // What is due but held by another replica must not make this one spin.
            tokio::time::sleep(LOOK_AT_MOST_EVERY).await;
            app.clock.sleep_until(moment).await;
        }
        None => std::future::pending().await,
    }
}

/// Settles up to [`BATCH`] sessions that are due. True: there may be more.
async fn settle_due(app: &App) -> Result<bool, DbErr> {
    let now = app.clock.now();
    if timers::next(app.db.read()).await?.is_none_or(|next| next > now) {
        return Ok(false);
    }
    let tx = app.db.begin().await?;
    let due = timers::claim(&tx, now, now.plus(LEASE), BATCH).await?;
    tx.commit().await?;
    if due.is_empty() {
        return Ok(false);
    }
    match conversation::close_idle(app, &due).await {
        Ok(answers) => {
            settle(app, &due, &answers).await?;
            Ok(due.len() as u64 == BATCH)
        }
        Err(error) => {
            put_off(app, &due, &error).await?;
            Ok(false)
        }
    }
}

/// Writes down what the rows answered, in the order of the ids, so that two replicas cannot wait for each other.
async fn settle(app: &App, due: &[Due], answers: &[Idle]) -> Result<(), DbErr> {
    let mut settled: Vec<_> = due.iter().zip(answers).collect();
    settled.sort_by_key(|(due, _)| due.session);
    let mut tx = app.db.begin().await?;
    let now = tx.now().await?;
    for (due, answer) in settled {
        let found = store::sessions::find_for_update(&tx, due.account, due.session).await?;
        let Some(mut session) = found.filter(|session| session.is_open()) else { continue };
        match answer {
            Idle::Closed => {
                let lateness = session.deadline_at.map_or(Duration::ZERO, |deadline| now.since(deadline));
                tracing::debug!(session_id = %session.id, lateness_ms = lateness.as_millis() as u64, "timed out");
                if session.end(Status::TimedOut, now) {
                    ended(&mut tx, &session).await?;
                }
            }
            Idle::ActiveUntil(time) => session.ask_again_at(Some(*time)),
            Idle::NotInCharge => session.ask_again_at(None),
        }
        store::sessions::save(&tx, &session).await?;
    }
    tx.commit().await
}

async fn put_off(app: &App, due: &[Due], error: &CallError) -> Result<(), DbErr> {
    tracing::warn!(%error, sessions = due.len(), "the timers could not ask; trying again");
    let tx = app.db.begin().await?;
    timers::lease(&tx, due, app.clock.now().plus(PAUSE)).await?;
    tx.commit().await
}
