//! Performs the actions of a turn in the conversation (rule B6).

use super::{Moment, TakeError, plan};
use crate::{
    App,
    conversation::{self, CallError, PostedMessage},
    domain::{BotAction, Flow, Session, Turn},
};

/// Performs the turn's actions in order. Returns the turn that was taken, and the last message that it posted, if any: an answer
/// that the contact's record rejects is answered like one that fails the check.
pub(super) async fn perform_actions(
    app: &App,
    session: &Session,
    flow: &Flow,
    moment: &Moment,
    turn: Turn,
) -> Result<(Turn, Option<PostedMessage>), TakeError> {
    let mut posted = None;
    for (index, action) in turn.actions.iter().enumerate() {
        match perform(app, session, action, index).await {
            Ok(message) => posted = message.or(posted),
            Err(CallError::Rejected(reason)) if matches!(action, BotAction::RecordAnswer { .. }) => {
                tracing::debug!(session_id = %session.id, reason, "the answer was rejected; asking again");
                let (retry, done) = match moment {
                    // The question that the first message was to answer is asked. What comes before it is done.
                    Moment::Start(_) => (plan(app, session, flow, &Moment::Start(None)).await?, index),
                    Moment::Message(_) | Moment::Rejection => (plan(app, session, flow, &Moment::Rejection).await?, 0),
                };
                // Each id is used for one action: another replica may have recorded the answer, and gone on, under the
                // first ids.
                for (number, action) in retry.actions.iter().enumerate().skip(done) {
                    posted = perform(app, session, action, turn.actions.len() + number).await?.or(posted);
                }
                return Ok((retry, posted));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((turn, posted))
}

async fn perform(
    app: &App,
    session: &Session,
    action: &BotAction,
    index: usize,
) -> Result<Option<PostedMessage>, CallError> {
    let request_id = format!("bot-{}-{}-{index}", session.id, session.turn);
    conversation::perform(&app.conversation, session, action, request_id).await
}
