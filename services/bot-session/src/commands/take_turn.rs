//! Taking a session's turns: read what the visitor said next, decide, act, and only then note that it is done (rule B6).
//!
//! A turn answers exactly one message, and each act's `request_id` is made of session, turn and place. So whoever runs the
//! turn again, after a crash or on another replica, does the same acts under the same ids, and they happen once.

use frontdesk_db::AccountId;
use frontdesk_outbox::append;
use frontdesk_proto::event::v1::BotSessionStepReached;
use sea_orm::DbErr;
use uuid::Uuid;

use super::session_aggregate;
use crate::{
    App,
    conversation::{self, CallError, Heard},
    domain::{Act, Session, Turn},
    store,
};

/// So many turns at once; a visitor who wrote more has the rest answered by the next delivery.
const AT_ONCE: usize = 50;

/// Why the turns were not all taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    /// Worth another try.
    #[error("{0}")]
    Later(String),
    /// An act is refused for ever.
    #[error("{0}")]
    Hopeless(String),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbErr),
}

/// Takes turns until everything that the visitor said is answered, or the session is over. A session that is not known
/// yet has nothing to answer: its start reads the thread itself.
pub(crate) async fn take_turns(app: &App, account: AccountId, id: Uuid) -> Result<(), TurnError> {
    // Whoever takes them most likely answers this one too: then there is nothing to do when it comes again.
    let Some(_busy) = app.busy.enter(id) else {
        return Err(TurnError::Later("the session's turns are being taken just now".into()));
    };
    let mut heard = Heard::nothing();
    for _ in 0..AT_ONCE {
        let Some(session) = store::sessions::find(app.db.read(), account, id).await? else { return Ok(()) };
        if !session.is_open() {
            return Ok(());
        }
        match take_turn(app, session, &mut heard).await {
            Ok(Took::One) => {}
            // How the session ended comes as an event.
            Ok(Took::None) | Err(Failed::Call(CallError::Over)) => return Ok(()),
            Err(Failed::Call(CallError::Refused(why))) => return Err(TurnError::Hopeless(why)),
            Err(Failed::Call(error @ CallError::TooLong(_))) => return Err(TurnError::Hopeless(error.to_string())),
            Err(Failed::Call(error @ CallError::Unavailable(_))) => return Err(TurnError::Later(error.to_string())),
            Err(Failed::Db(error)) => return Err(error.into()),
        }
    }
    Err(TurnError::Later("the visitor wrote more than is answered at once".into()))
}

/// True: the session is open and has not answered this message yet.
pub(crate) async fn has_to_answer(app: &App, account: AccountId, id: Uuid, sequence: i64) -> Result<bool, DbErr> {
    store::sessions::has_to_answer(app.db.read(), account, id, sequence).await
}

enum Took {
    One,
    None,
}

enum Failed {
    Call(CallError),
    Db(DbErr),
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<DbErr> for Failed {
    fn from(error: DbErr) -> Self {
        Self::Db(error)
    }
}

async fn take_turn(app: &App, session: Session, heard: &mut Heard) -> Result<Took, Failed> {
    if session.turn == 0 {
        let opening = session.flow.open();
        // What the visitor said before the bot's first question was no answer to it.
        let (opening, posted) = act(app, &session, opening).await?;
        note(app, &session, opening, posted.unwrap_or(0)).await?;
        return Ok(Took::One);
    }
    let Some((sequence, input)) = heard.next(app, &session).await? else {
        return Ok(Took::None);
    };
    let turn = session.flow.advance(session.step.as_deref(), &input);
    let (turn, _) = act(app, &session, turn).await?;
    note(app, &session, turn, sequence).await?;
    Ok(Took::One)
}

/// Does the turn's acts. Gives the turn that was taken in the end (an answer that the contact's record refuses is one that
/// did not fit) and the number of the last entry it posted.
async fn act(app: &App, session: &Session, turn: Turn) -> Result<(Turn, Option<i64>), CallError> {
    let mut posted = None;
    for (place, act) in turn.acts.iter().enumerate() {
        match perform(app, session, act, place).await {
            Ok(sequence) => posted = sequence.or(posted),
            Err(CallError::Refused(why)) if matches!(act, Act::RecordAnswer { .. }) => {
                tracing::debug!(session_id = %session.id, why, "the answer was refused; asking again");
                let retry = session.flow.retry(session.step.as_deref());
                // An answer is a turn's first act, so this place's id has not been used.
                for act in &retry.acts {
                    posted = perform(app, session, act, place).await?.or(posted);
                }
                return Ok((retry, posted));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((turn, posted))
}

async fn perform(app: &App, session: &Session, act: &Act, place: usize) -> Result<Option<i64>, CallError> {
    let request_id = format!("bot-{}-{}-{place}", session.id, session.turn);
    Ok(conversation::perform(app, session, act, request_id).await?.sequence)
}

/// Notes the turn, unless another replica has noted it or the session ended meanwhile: both are found out by reading the
/// row again.
async fn note(app: &App, before: &Session, turn: Turn, sequence: i64) -> Result<(), DbErr> {
    let mut tx = app.db.begin().await?;
    let Some(mut session) = store::sessions::find_for_update(&tx, before.account, before.id).await? else {
        return Ok(());
    };
    if !session.is_open() || session.turn != before.turn {
        return Ok(());
    }
    let moved = session.took_turn(turn.step, sequence);
    store::sessions::save(&tx, &session).await?;
    if moved {
        let event = BotSessionStepReached {
            bot_session_id: session.id.to_string(),
            conversation_id: session.conversation.to_string(),
            step_id: session.step.clone().unwrap_or_default(),
        };
        append(&mut tx, session_aggregate(&session), &event).await?;
    }
    tx.commit().await
}
