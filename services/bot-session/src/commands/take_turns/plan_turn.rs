//! Plans a turn: decides its branches by what is known now, and stores the choices before the first action (rule B6). A turn that runs
//! again, after a crash or on another replica, takes the stored ones: it would otherwise perform the actions of another way under the
//! request ids of the first.

use sea_orm::DbErr;

use super::visitor_input;
use crate::{
    App,
    conversation::{self, CallError},
    domain::{Condition, Flow, Known, PendingBranch, Plan, Session, StepAction, Turn, VisitorInput, choose},
    store,
};

/// What a turn answers.
#[derive(Clone, Debug)]
pub(super) enum Moment {
    /// The start of the session, and what the visitor wrote before it.
    Start(Option<VisitorInput>),
    /// A message of the visitor.
    Message(VisitorInput),
    /// An answer that the contact's record rejected.
    Rejection,
}

/// Why a turn was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Db(#[from] DbErr),
    /// Another replica recorded the turn, or the session ended.
    #[error("the turn is over")]
    Over,
}

/// Returns the sequence of the visitor's message that the first turn takes, 0 for none: the one that is stored, or otherwise this one,
/// which is stored before the first action. The visitor may write while the turn is taken, and another replica then reads more than this one.
pub(super) async fn agree_on_first_message(app: &App, before: &Session, read: i64) -> Result<i64, TakeError> {
    if let Some(agreed) = before.choices.first_message {
        return Ok(agreed);
    }
    let tx = app.db.begin_for(before.account).await?;
    let session = store::sessions::find_for_update(&tx, before.account, before.id).await?;
    let Some(mut session) = session.filter(|session| session.is_open() && session.turn == before.turn) else {
        return Err(TakeError::Over);
    };
    if let Some(agreed) = session.choices.first_message {
        return Ok(agreed);
    }
    session.choices.first_message = Some(read);
    store::sessions::save(&tx, &session).await?;
    tx.commit().await?;
    Ok(read)
}

/// Returns the turn, with its choices stored.
pub(super) async fn plan(app: &App, session: &Session, flow: &Flow, moment: &Moment) -> Result<Turn, TakeError> {
    let after_rejection = matches!(moment, Moment::Rejection);
    let mut choices = session.choices.clone().of(after_rejection).clone();
    let stored = choices.len();
    let mut visitor = None;
    loop {
        match plan_with(flow, session, moment, &choices) {
            Plan::Turn(turn) if choices.len() <= stored => return Ok(turn),
            Plan::Turn(turn) => {
                let agreed = store_choices(app, session, after_rejection, choices).await?;
                return match plan_with(flow, session, moment, &agreed) {
                    Plan::Turn(agreed) => Ok(agreed),
                    // The choices of another replica are complete, because the flow is the same.
                    Plan::Branch(_) => Ok(turn),
                };
            }
            Plan::Branch(branch) => choices.push(decide(app, session, flow, &branch, &mut visitor).await?),
        }
    }
}

fn plan_with(flow: &Flow, session: &Session, moment: &Moment, choices: &[usize]) -> Plan {
    match moment {
        Moment::Start(first) => flow.open(first.as_ref(), choices),
        Moment::Message(input) => flow.advance(session.waiting(), input, choices),
        Moment::Rejection => flow.refuse(session.waiting(), choices),
    }
}

/// Stores the choices, unless others are stored for the turn. Returns those that count.
async fn store_choices(
    app: &App,
    before: &Session,
    after_rejection: bool,
    made: Vec<usize>,
) -> Result<Vec<usize>, TakeError> {
    let tx = app.db.begin_for(before.account).await?;
    let session = store::sessions::find_for_update(&tx, before.account, before.id).await?;
    let Some(mut session) = session.filter(|session| session.is_open() && session.turn == before.turn) else {
        return Err(TakeError::Over);
    };
    let stored = session.choices.of(after_rejection);
    if !stored.is_empty() {
        return Ok(stored.clone());
    }
    stored.clone_from(&made);
    store::sessions::save(&tx, &session).await?;
    tx.commit().await?;
    Ok(made)
}

/// Returns the index of the case that the branch takes now. `visitor`: what is known of them, once it was asked for in this turn.
async fn decide(
    app: &App,
    session: &Session,
    flow: &Flow,
    branch: &PendingBranch,
    visitor: &mut Option<Known>,
) -> Result<usize, TakeError> {
    let conditions = || branch.cases.iter().flat_map(|case| &case.conditions);
    if visitor.is_none() && conditions().any(Condition::is_about_visitor) {
        *visitor = Some(conversation::get_visitor_properties(&app.conversation, session).await?);
    }
    let mut known = visitor.clone().unwrap_or_default();
    known.properties.extend(branch.stored.iter().cloned());
    for step in conditions().filter_map(Condition::answer_of) {
        if let Some(answer) = find_answer(app, session, flow, step).await? {
            known.answers.insert(step.to_owned(), answer);
        }
    }
    known.answers.extend(branch.answer.clone());
    for id in conditions().filter_map(Condition::opening_hours) {
        let read = app.db.read_for(session.account).await?;
        let hours = store::opening_hours::find(&read.conn(), session.account, id).await?;
        drop(read);
        let now = app.db.now().await?;
        // Without a copy they count as deleted ones do.
        if hours.is_none_or(|hours| hours.are_open(now)) {
            known.open_hours.insert(id);
        }
    }
    Ok(choose(&branch.cases, &known))
}

/// Returns the session's newest answer at a step, from an earlier turn: the chosen button, or the text in the thread. None: there is
/// none, or its text was erased.
async fn find_answer(app: &App, session: &Session, flow: &Flow, step: &str) -> Result<Option<String>, CallError> {
    let Some(answer) = session.answers.iter().find(|answer| answer.step == step) else { return Ok(None) };
    if let Some(button) = &answer.button {
        let action = flow.position(step).map(|at| &flow.steps[at].action);
        return Ok(Some(match action {
            Some(StepAction::Ask(question)) => question.choice(button).unwrap_or(button).to_owned(),
            _ => button.clone(),
        }));
    }
    let entry = conversation::find_entry(&app.conversation, session, answer.sequence).await?;
    Ok(entry.and_then(visitor_input).map(|input| input.text))
}
