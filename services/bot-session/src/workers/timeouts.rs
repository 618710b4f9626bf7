//! The timers: notices on time that a visitor may have been silent for too long, and asks the conversation's row (rules B4,
//! B5). It never decides by itself: the row closes, or says when to ask again, or that the session is not in charge.

use std::time::Duration;

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
/// The sessions of a replica that died or stands still are another's after so long: rule B4 gives them five seconds. A call
/// that takes longer than this is made twice, and the row closes once.
const LEASE: Duration = Duration::from_secs(3);
/// After a call that failed.
const PAUSE: Duration = Duration::from_millis(500);
/// Another replica's sessions are seen at least so often.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(1);
/// And at most so often.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(20);

/// Watches the deadlines of open sessions until it is told to stop.
pub(crate) async fn watch_deadlines(app: App) {
    while !app.shutdown.is_cancelled() {
        let wait = match settle_due(&app).await {
            Ok(Settled::Full) => continue,
            Ok(Settled::Next(wait)) => wait,
            Err(error) => {
                tracing::error!(%error, "the timers could not be read; trying again");
                Some(PAUSE)
            }
        };
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            () = app.session_began.notified() => {}
            // By the database's clock, whatever this machine's shows; the development clock wakes it when it is moved.
            () = app.clock.sleep(wait.unwrap_or(LOOK_AT_LEAST_EVERY).clamp(LOOK_AT_MOST_EVERY, LOOK_AT_LEAST_EVERY)) => {}
        }
    }
}

/// What was settled.
enum Settled {
    /// As many as are taken at once: there may be more.
    Full,
    /// Everything that is due; the next one will be in so long.
    Next(Option<Duration>),
}

/// Settles up to [`BATCH`] sessions that are due.
async fn settle_due(app: &App) -> Result<Settled, DbErr> {
    let next = timers::next(app.db.read()).await?;
    let now = app.db.now().await?;
    let Some(next) = next else { return Ok(Settled::Next(None)) };
    if next > now {
        return Ok(Settled::Next(Some(next.since(now))));
    }
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    let due = timers::claim(&tx, now, now.plus(LEASE), BATCH).await?;
    tx.commit().await?;
    if due.is_empty() {
        // Another replica is at it.
        return Ok(Settled::Next(Some(LOOK_AT_MOST_EVERY)));
    }
    match conversation::close_idle(app, &due).await {
        Ok(answers) => settle(app, &due, &answers).await?,
        Err(error) => {
            put_off(app, &due, &error).await?;
            return Ok(Settled::Next(Some(PAUSE)));
        }
    }
    if due.len() as u64 == BATCH { Ok(Settled::Full) } else { Ok(Settled::Next(Some(LOOK_AT_MOST_EVERY))) }
}

/// Writes down what the rows answered, in the order of the ids, so that two replicas cannot wait for each other.
async fn settle(app: &App, due: &[Due], answers: &[Idle]) -> Result<(), DbErr> {
    let mut settled: Vec<_> = due.iter().zip(answers).collect();
    settled.sort_by_key(|(due, _)| due.session);
    let mut tx = app.db.begin().await?;
    let now = tx.now().await?;
    for (due, answer) in settled {
        // One that is locked is being ended by its event, or its holder stands still: the claim's end brings it again, and
        // the others do not wait.
        let found = store::sessions::find_for_update_if_free(&tx, due.account, due.session).await?;
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
    let now = tx.now().await?;
    timers::put_off(&tx, due, now.plus(PAUSE)).await?;
    tx.commit().await
}
