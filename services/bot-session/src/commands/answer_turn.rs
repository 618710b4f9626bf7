//! Answers a turn of a bot that is a program of the customer's, or a part of it (rule B7).
//!
//! The parts get numbers in one transaction, take effect in the conversation under request ids made of turn and number, and are
//! noted as done in another. A repeat after a crash between the two therefore repeats the same calls under the same ids.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::Tx;
use frontdesk_idempotency::Key;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::steps::require_references;
use crate::{
    App,
    conversation::{self, CallError},
    domain::{BotAction, EngineTurn, Reference, Session, Turn, TurnOver},
    error::BotSessionError,
    store,
};

/// An answer, or a part of it.
#[derive(Debug)]
pub(crate) struct AnswerTurn {
    pub(crate) turn: Uuid,
    /// The attempt that the caller answers.
    pub(crate) attempt: i64,
    /// What the bot does. A hand-off or a close is the last one.
    pub(crate) actions: Vec<BotAction>,
    /// Whether the turn ends with these actions.
    pub(crate) ends_turn: bool,
}

impl AnswerTurn {
    fn ends_session(&self) -> bool {
        matches!(self.actions.last(), Some(BotAction::HandOff { .. } | BotAction::Close))
    }

    /// Returns what its hand-off names of other services, each with the path of its field.
    fn references(&self) -> Vec<(String, Reference)> {
        let mut references = Vec::new();
        for (at, action) in self.actions.iter().enumerate() {
            let BotAction::HandOff { to, .. } = action else { continue };
            references.extend(to.references().map(|(field, named)| (format!("parts[{at}].{field}"), named)));
        }
        references
    }
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Progress {
    /// Number of its first part within the turn.
    first: i64,
    /// Whether all parts took effect.
    done: bool,
}

/// Performs the actions. Returns until when the next part must come. None: the turn has ended.
pub(crate) async fn answer_turn(
    app: &App,
    caller: &Caller,
    key: &Key,
    command: AnswerTurn,
) -> Result<Option<Time>, BotSessionError> {
    let bot = caller.bot_id().ok_or(BotSessionError::NotFound("turn"))?;
    let read = app.db.read_for(caller.account).await?;
    let is_repeat = key.find::<Progress>(&read.conn()).await?.is_some();
    // The read ends before another service is asked.
    drop(read);
    if !is_repeat {
        require_references(app, caller.account, command.references()).await?;
    }
    let (turn, session, progress) = take(app, caller, bot, key, &command).await?;
    if progress.done {
        return Ok(turn.due_at.filter(|_| turn.is_open()));
    }
    for (number, action) in (progress.first..).zip(&command.actions) {
        let request_id = format!("turn-{}-{number}", turn.id);
        match conversation::perform(&app.conversation, &session, action, request_id).await {
            Ok(_) => {}
            Err(CallError::SessionOver) => return Err(TurnOver.into()),
            Err(CallError::Rejected(reason)) => {
                let part = number - progress.first;
                return Err(BotSessionError::PartRejected { part, reason });
            }
            Err(error) => {
                tracing::warn!(%error, turn_id = %turn.id, "a part of an answer did not reach the conversation");
                return Err(BotSessionError::ConversationUnavailable);
            }
        }
    }
    finish(app, key, &command, &turn, progress).await
}

/// Numbers the parts of the answer, unless the request has done so before.
async fn take(
    app: &App,
    caller: &Caller,
    bot: Uuid,
    key: &Key,
    command: &AnswerTurn,
) -> Result<(EngineTurn, Session, Progress), BotSessionError> {
    let tx = app.db.begin_for(caller.account).await?;
    let found = store::engine_turns::find_for_update(&tx, caller.account, bot, command.turn).await?;
    let mut turn = found.ok_or(BotSessionError::NotFound("turn"))?;
    let session = store::sessions::find(tx.conn(), caller.account, turn.session).await?.ok_or(TurnOver)?;
    let now = tx.now().await?;
    let progress = match key.claim::<Progress>(&tx).await? {
        Some(progress) if progress.done => return Ok((turn, session, progress)),
        // The answer itself may have ended the session. Its parts are sent again: the row answers those that took effect, and rejects the
        // others.
        Some(progress) if !session.is_open() => progress,
        Some(progress) => {
            turn.require_leased(command.attempt, now)?;
            progress
        }
        None if !session.is_open() => return Err(TurnOver.into()),
        None => {
            let first = turn.take_parts(command.attempt, command.actions.len(), now)?;
            store::engine_turns::save(&tx, &turn).await?;
            let progress = Progress { first, done: false };
            key.store_result(&tx, &progress).await?;
            progress
        }
    };
    tx.commit().await?;
    Ok((turn, session, progress))
}

/// Notes that all parts took effect, and ends the turn where the answer does.
async fn finish(
    app: &App,
    key: &Key,
    command: &AnswerTurn,
    turn: &EngineTurn,
    progress: Progress,
) -> Result<Option<Time>, BotSessionError> {
    let mut tx = app.db.begin_for(turn.account).await?;
    let session = store::sessions::find_for_update(&tx, turn.account, turn.session).await?;
    let found = store::engine_turns::find_for_update(&tx, turn.account, turn.bot, turn.id).await?;
    let (Some(mut session), Some(mut turn)) = (session, found) else { return Err(TurnOver.into()) };
    // It may be over already: while the last part was on its way, the turn became late and went to the team.
    // Or its lease ended, and another attempt has it.
    let is_own = turn.is_open() && turn.attempt == command.attempt;
    if is_own && (command.ends_turn || command.ends_session()) {
        end_turn(&tx, &mut session, &mut turn, command.ends_session()).await?;
    }
    key.store_result(&tx, &Progress { done: true, ..progress }).await?;
    app.turn_signals.wake_on_commit(&mut tx, turn.account, turn.bot);
    app.session_signals.wake_on_commit(&mut tx, session.account, session.id);
    tx.commit().await?;
    Ok(turn.due_at.filter(|_| turn.is_open()))
}

/// Ends the turn, and begins the next one if the visitor wrote since it was leased.
async fn end_turn(
    tx: &Tx,
    session: &mut Session,
    turn: &mut EngineTurn,
    ends_session: bool,
) -> Result<(), BotSessionError> {
    turn.end_by_answer();
    store::engine_turns::save(tx, turn).await?;
    if !session.is_open() {
        return Ok(());
    }
    let now = tx.now().await?;
    session.record_turn(&Turn::default(), None, turn.last_sequence);
    session.extend_after_late_answer(turn.visitor_active_at, now);
    store::sessions::save(tx, session).await?;
    if !ends_session && turn.newest_sequence > turn.last_sequence {
        let next =
            EngineTurn::start(tx.new_id(), session, turn.newest_sequence, turn.engine, turn.visitor_active_at, now);
        store::engine_turns::insert(tx, &next).await?;
    }
    Ok(())
}
