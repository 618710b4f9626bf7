//! Stores what the conversation service decided about due sessions (rules B4, B5).

use std::{collections::HashMap, time::Duration};

use frontdesk_clock::Time;
use sea_orm::DbErr;
use uuid::Uuid;

use super::steps::end_turns;
use crate::{
    App,
    domain::{DueReminder, DueSession, IdleOutcome},
    store,
};

/// Stores the outcomes of all sessions with one statement for each table, and ends their claim. When one of them cannot be stored, each is
/// stored by itself, and those that fail are checked again later. Returns the reminders that are due.
pub(crate) async fn settle_timeouts(
    app: &App,
    claim: Uuid,
    due: &[DueSession],
    outcomes: &[IdleOutcome],
) -> Result<Vec<DueReminder>, DbErr> {
    match settle(app, Some(claim), due, outcomes).await {
        Err(error) if !frontdesk_db::is_transient(&error) => {
            tracing::warn!(%error, sessions = due.len(), "outcomes of timeouts cannot be stored together");
        }
        settled => return settled,
    }
    let mut reminders = Vec::new();
    for (due, outcome) in due.iter().zip(outcomes) {
        reminders.extend(settle_alone(app, due, *outcome).await?);
    }
    Ok(reminders)
}

/// Stores the outcome of one session. Fails only when a later call may succeed for this session and for others.
async fn settle_alone(app: &App, due: &DueSession, outcome: IdleOutcome) -> Result<Vec<DueReminder>, DbErr> {
    let one = std::slice::from_ref(due);
    for outcome in [outcome, IdleOutcome::Failed] {
        // The claim ends by itself.
        match settle(app, None, one, &[outcome]).await {
            Err(error) if !frontdesk_db::is_transient(&error) => {
                tracing::error!(%error, session_id = %due.session, "the outcome of a timeout cannot be stored");
            }
            settled => return settled,
        }
    }
    Ok(Vec::new())
}

/// Stores the outcomes in one transaction. A session whose row is locked is left out: its end is being stored, or the holder of the
/// lock stalls. It is claimed again when its row is free.
async fn settle(
    app: &App,
    claim: Option<Uuid>,
    due: &[DueSession],
    outcomes: &[IdleOutcome],
) -> Result<Vec<DueReminder>, DbErr> {
    let outcomes = due.iter().zip(outcomes).map(|(due, outcome)| (due.session, (due.as_of, *outcome)));
    let outcomes: HashMap<Uuid, (Option<Time>, IdleOutcome)> = outcomes.collect();
    let mut tx = app.db.begin().await?;
    if let Some(claim) = claim {
        store::session_claims::delete(&tx, claim).await?;
    }
    let mut sessions = store::sessions::list_open_for_update_skip_locked(&tx, due).await?;
    let now = tx.now().await?;
    let mut deadlines: HashMap<Uuid, Time> = HashMap::new();
    let mut reminders = Vec::new();
    for session in &mut sessions {
        let deadline_at = session.deadline_at;
        let Some((as_of, outcome)) = outcomes.get(&session.id).copied() else { continue };
        let is_active = matches!(outcome, IdleOutcome::VisitorActive { .. });
        // What follows from the visitor's activity follows at the time of the check.
        let at = as_of.filter(|_| is_active).unwrap_or(now);
        if session.apply_idle_outcome(outcome, at) {
            let lateness = deadline_at.map_or(Duration::ZERO, |deadline| now.since(deadline));
            tracing::debug!(session_id = %session.id, lateness_ms = lateness.as_millis() as u64, "session timed out");
            deadlines.extend(deadline_at.map(|deadline| (session.id, deadline)));
        } else if is_active && let Some(reminder) = session.due_reminder(at) {
            // The row has just said when the visitor was last active.
            session.await_reminder(now);
            reminders.push(reminder);
        }
    }
    store::sessions::save_checked(&tx, &sessions).await?;
    let ended = sessions.iter().filter(|session| !session.is_open());
    let ended: Vec<_> = ended.map(|session| (session, deadlines.get(&session.id).copied())).collect();
    store::events::append_bot_sessions_ended(&mut tx, ended.into_iter(), now).await?;
    sessions.retain(|session| !session.is_open());
    end_turns(app, &mut tx, &sessions).await?;
    for session in &sessions {
        app.session_signals.wake_on_commit(&mut tx, session.account, session.id);
    }
    tx.commit().await?;
    for deadline in deadlines.values() {
        app.timeout_lateness.record(now.since(*deadline).as_secs_f64(), &[]);
    }
    Ok(reminders)
}
