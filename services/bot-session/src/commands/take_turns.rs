//! Takes a session's turns: reads the visitor's next message, decides, performs the actions, and only then records the
//! turn (rule B6).
//!
//! A turn answers exactly one message, and the `request_id` of each action is made of session, turn and index. A turn
//! that runs again, after a crash or on another replica, therefore repeats the same calls under the same ids, and each
//! takes effect once.

mod perform_actions;
mod turn_guard;
mod visitor_messages;

use frontdesk_db::AccountId;
use sea_orm::DbErr;
use uuid::Uuid;

use perform_actions::perform_actions;
pub(crate) use turn_guard::TurnGuards;
use visitor_messages::VisitorMessages;

use crate::{
    App,
    conversation::CallError,
    domain::{Flow, Session, Turn},
    store,
};

/// Maximum number of turns taken for one event. The event is retried while messages remain.
const MAX_TURNS: usize = 50;

/// Why not all turns were taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    /// Worth a retry.
    #[error("{0}")]
    Retry(String),
    /// A retry would fail in the same way.
    #[error("{0}")]
    Permanent(String),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbErr),
}

/// Takes turns until every message of the visitor is answered, or the session is over. A session that is not stored yet
/// has nothing to answer: its start takes the turns.
pub(crate) async fn take_turns(app: &App, account: AccountId, id: Uuid) -> Result<(), TurnError> {
    let Some(_guard) = app.turn_guards.try_start(id) else {
        return Err(TurnError::Retry("another task is taking the session's turns".into()));
    };
    let Some(flow) = store::sessions::find_flow(app.db.read(), account, id).await? else { return Ok(()) };
    let mut messages = VisitorMessages::default();
    for _ in 0..MAX_TURNS {
        let Some(session) = store::sessions::find(app.db.read(), account, id).await? else { return Ok(()) };
        if !session.is_open() {
            return Ok(());
        }
        match take_turn(app, &session, &flow, &mut messages).await? {
            TurnOutcome::Taken => {}
            TurnOutcome::NothingToAnswer | TurnOutcome::SessionOver => return Ok(()),
        }
    }
    Err(TurnError::Retry(format!("the visitor wrote more than {MAX_TURNS} messages")))
}

enum TurnOutcome {
    /// One turn was taken.
    Taken,
    /// Every message of the visitor is answered.
    NothingToAnswer,
    /// The session is no longer in charge. How it ended arrives as an event.
    SessionOver,
}

async fn take_turn(
    app: &App,
    session: &Session,
    flow: &Flow,
    messages: &mut VisitorMessages,
) -> Result<TurnOutcome, TurnError> {
    match try_take_turn(app, session, flow, messages).await {
        Ok(Some((turn, answered))) => {
            record_turn(app, session, turn, answered).await?;
            Ok(TurnOutcome::Taken)
        }
        Ok(None) => Ok(TurnOutcome::NothingToAnswer),
        Err(CallError::SessionOver) => Ok(TurnOutcome::SessionOver),
        Err(error @ (CallError::Rejected(_) | CallError::ResponseTooLarge(_))) => {
            Err(TurnError::Permanent(error.to_string()))
        }
        Err(error @ CallError::Unavailable(_)) => Err(TurnError::Retry(error.to_string())),
    }
}

/// Performs the next turn. Returns it with the sequence up to which the thread is answered; None: there is nothing to
/// answer.
async fn try_take_turn(
    app: &App,
    session: &Session,
    flow: &Flow,
    messages: &mut VisitorMessages,
) -> Result<Option<(Turn, i64)>, CallError> {
    if session.turn == 0 {
        // Messages that the visitor sent before the bot's first question do not answer it: they count as answered.
        let (turn, posted) = perform_actions(app, session, flow, flow.open()).await?;
        return Ok(Some((turn, posted.unwrap_or(0))));
    }
    let Some((sequence, input)) = messages.next(&app.conversation, session).await? else { return Ok(None) };
    let turn = flow.advance(session.step.as_deref(), &input);
    let (turn, _) = perform_actions(app, session, flow, turn).await?;
    Ok(Some((turn, sequence)))
}

/// Records the turn, unless another replica recorded it or the session ended meanwhile. The next read of the row shows
/// either.
async fn record_turn(app: &App, before: &Session, turn: Turn, answered: i64) -> Result<(), DbErr> {
    let mut tx = app.db.begin().await?;
    let Some(mut session) = store::sessions::find_for_update(&tx, before.account, before.id).await? else {
        return Ok(());
    };
    if !session.is_open() || session.turn != before.turn {
        return Ok(());
    }
    let step_changed = session.record_turn(turn.step, answered);
    store::sessions::save(&tx, &session).await?;
    if step_changed {
        store::events::append_bot_session_step_reached(&mut tx, &session).await?;
    }
    tx.commit().await
}
