//! Takes a session's turns: reads the visitor's next message, decides, performs the actions, and only then records the
//! turn (rule B6).
//!
//! A turn answers exactly one message, and the `request_id` of each action is made of session, turn and index. A turn
//! that runs again, after a crash or on another replica, therefore repeats the same calls under the same ids, and each
//! takes effect once. How its branches were decided, and which first message it takes, is stored before the first action.
//!
//! The last turn ends the session at the conversation's row before it is recorded. When the process dies in between, the turn runs again
//! although the session has ended, and is recorded: all its actions are repeats, which the row answers like the first calls. It rejects
//! any other action of the bot (rule A3).

mod engine_turns;
mod perform_actions;
mod plan_turn;
mod turn_guard;
mod visitor_messages;

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::DbErr;
use uuid::Uuid;

use perform_actions::perform_actions;
use plan_turn::{Moment, TakeError, agree_on_first_message, plan};
pub(crate) use turn_guard::TurnGuards;
use visitor_messages::{VisitorMessages, first_message, visitor_input};

use crate::{
    App,
    conversation::{self, CallError},
    domain::{BotAction, Flow, HandOffTarget, Session, Turn},
    store::{self, sessions::SessionFlow},
};

/// Maximum number of turns taken for one event. The event is retried while messages remain.
const MAX_TURNS: usize = 50;

/// How long an event waits for another task that is taking the turns of its session (milliseconds). The other events of a session
/// are then answered or taken at once, instead of after the growing delays of a retry.
const GUARD_WAIT: Duration = Duration::from_millis(250);

/// Reason of a hand-off for the team, after a turn that can never succeed.
const GAVE_UP: &str = "The bot could not continue.";

/// How long a turn may fail with errors that are no outage (minutes). Then it counts as one that can never succeed.
const MAX_FAILING: Duration = Duration::from_secs(5 * 60);

/// An event that asks for turns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TurnRequest {
    pub(crate) account: AccountId,
    pub(crate) session: Uuid,
    /// Sequence of the message to answer; when it has an answer, no turn is taken. None: the session started.
    pub(crate) sequence: Option<i64>,
    /// When the event happened, by the clock of the service that it comes from. None: the event does not say.
    pub(crate) asked_at: Option<Time>,
}

/// Why not all turns were taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    /// The conversation service failed; a retry may succeed.
    #[error("{0}")]
    Retry(String),
    /// The conversation service does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// Turns are being taken, or more than those of one event are to be taken: worth a retry in a moment.
    #[error("{0}")]
    Busy(String),
    /// A retry would fail in the same way.
    #[error("{0}")]
    Permanent(String),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbErr),
}

/// Takes turns until every message of the visitor is answered, or the session is over. A session that is not stored yet
/// has nothing to answer: its start takes the turns.
pub(crate) async fn take_turns(app: &App, request: &TurnRequest) -> Result<(), TurnError> {
    let TurnRequest { account, session: id, sequence, asked_at } = *request;
    let Some(_guard) = app.turn_guards.start(id, GUARD_WAIT).await else {
        return Err(TurnError::Busy("another task is taking the session's turns".into()));
    };
    let Some(session) = store::sessions::find(app.db.read(), account, id).await? else { return Ok(()) };
    // Another task may have answered the message while this one waited for the guard.
    if !session.takes_turns() || sequence.is_some_and(|sequence| sequence <= session.last_sequence) {
        return Ok(());
    }
    let Some(flow) = store::sessions::find_flow(app.db.read(), account, id).await? else { return Ok(()) };
    if let SessionFlow::Engine(engine) = flow {
        return engine_turns::store_turn(app, request, engine).await;
    }
    let mut messages = VisitorMessages::default();
    for _ in 0..MAX_TURNS {
        let Some(session) = store::sessions::find(app.db.read(), account, id).await? else { return Ok(()) };
        if !session.takes_turns() {
            return Ok(());
        }
        match take_turn(app, &session, &flow, &mut messages, asked_at).await? {
            TurnOutcome::Taken => {}
            TurnOutcome::NothingToAnswer | TurnOutcome::SessionOver => return Ok(()),
        }
    }
    Err(TurnError::Busy(format!("the visitor wrote more than {MAX_TURNS} messages")))
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
    flow: &SessionFlow,
    messages: &mut VisitorMessages,
    asked_at: Option<Time>,
) -> Result<TurnOutcome, TurnError> {
    let flow = match flow {
        SessionFlow::Valid(flow) if flow.can_continue(session.step.as_deref()) => flow,
        SessionFlow::Valid(_) => return give_up(app, session, "its flow does not have the session's step").await,
        SessionFlow::Unreadable(reason) => return give_up(app, session, reason).await,
        // Its turns are stored, not taken.
        SessionFlow::Engine(_) => return Ok(TurnOutcome::NothingToAnswer),
    };
    match try_take_turn(app, session, flow, messages).await {
        Ok(Some(taken)) => {
            record_turn(app, session, taken).await?;
            Ok(TurnOutcome::Taken)
        }
        Ok(None) => Ok(TurnOutcome::NothingToAnswer),
        // No turn begins after the end.
        Err(TakeError::Over) if !session.is_open() => Ok(TurnOutcome::SessionOver),
        // The next read of the row shows what happened.
        Err(TakeError::Over) => Ok(TurnOutcome::Taken),
        Err(TakeError::Db(error)) => Err(error.into()),
        Err(TakeError::Call(CallError::SessionOver)) => Ok(TurnOutcome::SessionOver),
        Err(TakeError::Call(error @ (CallError::Rejected(_) | CallError::ResponseTooLarge(_)))) => {
            give_up(app, session, &error.to_string()).await
        }
        Err(TakeError::Call(CallError::Failed(reason))) => {
            let now = app.db.now().await?;
            match asked_at.filter(|asked_at| now.since(*asked_at) > MAX_FAILING) {
                Some(_) => give_up(app, session, &reason).await,
                None => Err(TurnError::Retry(reason)),
            }
        }
        Err(TakeError::Call(error @ CallError::Unavailable(_))) => Err(TurnError::Unavailable(error.to_string())),
    }
}

/// Hands the chat to the team because the bot's turn can never succeed: otherwise the visitor would wait for a bot that says
/// nothing (rule B7), and each of their messages would fail in the same way. A session that has ended is no concern of it.
async fn give_up(app: &App, session: &Session, reason: &str) -> Result<TurnOutcome, TurnError> {
    if !session.is_open() {
        return Ok(TurnOutcome::SessionOver);
    }
    tracing::error!(session_id = %session.id, reason, "the bot cannot take its turn; handing the chat to the team");
    let hand_off = BotAction::HandOff { reason: GAVE_UP.to_owned(), to: HandOffTarget::default() };
    let request_id = format!("bot-{}-gave-up", session.id);
    match conversation::perform(&app.conversation, session, &hand_off, request_id).await {
        Ok(_) | Err(CallError::SessionOver) => Ok(TurnOutcome::SessionOver),
        Err(error @ CallError::Failed(_)) => Err(TurnError::Retry(error.to_string())),
        Err(error @ CallError::Unavailable(_)) => Err(TurnError::Unavailable(error.to_string())),
        Err(error) => Err(TurnError::Permanent(format!("{reason}; handing the chat to the team: {error}"))),
    }
}

/// A turn whose actions are performed.
struct TakenTurn {
    turn: Turn,
    /// Sequence up to which the thread is answered.
    answered: i64,
    /// Visitor sequence of the last message that the bot posted.
    question: Option<i64>,
}

/// Performs the next turn. None: there is nothing to answer.
async fn try_take_turn(
    app: &App,
    session: &Session,
    flow: &Flow,
    messages: &mut VisitorMessages,
) -> Result<Option<TakenTurn>, TakeError> {
    let (moment, answers) = if session.turn > 0 {
        let Some((sequence, input)) = messages.next(&app.conversation, session).await? else { return Ok(None) };
        (Moment::Message(input), sequence)
    } else if flow.takes_first_message() {
        let first = first_message(&app.conversation, session).await?;
        let read = first.as_ref().map_or(0, |first| first.sequence);
        let sequence = agree_on_first_message(app, session, read).await?;
        let first = match sequence {
            0 => None,
            sequence if sequence == read => first,
            _ => conversation::find_entry(&app.conversation, session, sequence).await?.and_then(visitor_input),
        };
        (Moment::Start(first), sequence)
    } else {
        (Moment::Start(None), 0)
    };
    let turn = plan(app, session, flow, &moment).await?;
    let (turn, posted) = perform_actions(app, session, flow, &moment, turn).await?;
    let answered = match moment {
        // Messages that the visitor sent before the bot's first question do not answer it: they count as answered.
        Moment::Start(_) => posted.map_or(answers, |posted| posted.sequence),
        Moment::Message(_) | Moment::Rejection => answers,
    };
    Ok(Some(TakenTurn { turn, answered, question: posted.and_then(|posted| posted.visitor_sequence) }))
}

/// Records the turn, unless another replica recorded it. The next read of the row shows that. The end that the turn asked for may
/// have arrived before as an event: what the visitor answered counts all the same.
async fn record_turn(app: &App, before: &Session, taken: TakenTurn) -> Result<(), DbErr> {
    fail::fail_point!("turn-performed", |_| std::process::abort());
    fail::fail_point!("last-turn-performed", taken.turn.step.is_none(), |_| std::process::abort());
    let mut tx = app.db.begin().await?;
    let Some(mut session) = store::sessions::find_for_update(&tx, before.account, before.id).await? else {
        return Ok(());
    };
    if session.turn != before.turn {
        return Ok(());
    }
    let changed = session.record_turn(&taken.turn, taken.question, taken.answered);
    store::sessions::save(&tx, &session).await?;
    if changed {
        store::events::append_bot_session_step_reached(&mut tx, &session).await?;
    }
    app.session_signals.wake_on_commit(&mut tx, session.account, session.id);
    tx.commit().await
}
