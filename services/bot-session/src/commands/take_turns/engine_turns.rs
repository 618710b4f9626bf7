//! Turns of a bot that is a program of the customer's: they are stored, and a stream takes them (rule B7).

use sea_orm::DbErr;

use super::{TurnError, TurnRequest, VisitorMessages};
use crate::{
    App,
    conversation::CallError,
    domain::{Engine, EngineTurn},
    store,
};

/// Stores the session's next turn, or notes a message for the turn after the open one. A repeat changes nothing.
pub(super) async fn store_turn(app: &App, request: &TurnRequest, engine: Engine) -> Result<(), TurnError> {
    let sequence = match request.sequence {
        Some(sequence) => sequence,
        None => match newest_message(app, request).await? {
            Some(sequence) => sequence,
            None => return Ok(()),
        },
    };
    store_turn_until(app, request, sequence, engine).await?;
    Ok(())
}

/// Returns the sequence of the visitor's newest message, 0 if there is none: a message that was posted before the session was stored
/// has no event that asks for a turn. None: there is no open session.
async fn newest_message(app: &App, request: &TurnRequest) -> Result<Option<i64>, TurnError> {
    let read = app.db.read_for(request.account).await?;
    let session = store::sessions::find(&read.conn(), request.account, request.session).await?;
    // The read ends before another service is asked.
    drop(read);
    let Some(session) = session.filter(|session| session.is_open()) else { return Ok(None) };
    let (mut messages, mut newest) = (VisitorMessages::default(), 0);
    loop {
        match messages.next(&app.conversation, &session).await {
            Ok(Some((sequence, _))) => newest = sequence,
            // The engine reads the thread itself, and may be able to where this service is not.
            Ok(None) | Err(CallError::Rejected(_) | CallError::ResponseTooLarge(_)) => return Ok(Some(newest)),
            Err(CallError::SessionOver) => return Ok(None),
            Err(CallError::Failed(reason)) => return Err(TurnError::Retry(reason)),
            Err(error @ CallError::Unavailable(_)) => return Err(TurnError::Unavailable(error.to_string())),
        }
    }
}

async fn store_turn_until(app: &App, request: &TurnRequest, sequence: i64, engine: Engine) -> Result<(), DbErr> {
    let mut tx = app.db.begin_for(request.account).await?;
    let session = store::sessions::find_for_update(&tx, request.account, request.session).await?;
    let Some(session) = session.filter(|session| session.is_open()) else { return Ok(()) };
    let now = tx.now().await?;
    let visitor_active_at = request.asked_at.unwrap_or(now);
    match store::engine_turns::find_open_for_update(&tx, request.account, session.id).await? {
        Some(mut turn) => {
            if !turn.note(sequence, visitor_active_at) {
                return Ok(());
            }
            store::engine_turns::save(&tx, &turn).await?;
        }
        None if session.turn > 0 && sequence <= session.last_sequence => return Ok(()),
        None => {
            let turn = EngineTurn::start(tx.new_id(), &session, sequence, engine, visitor_active_at, now);
            store::engine_turns::insert(&tx, &turn).await?;
        }
    }
    app.turn_signals.wake_on_commit(&mut tx, session.account, session.bot);
    tx.commit().await
}
