//! Performs the actions of a turn in the conversation (rule B6).

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
    turn: Turn,
) -> Result<(Turn, Option<PostedMessage>), CallError> {
    let mut posted = None;
    for (index, action) in turn.actions.iter().enumerate() {
        match perform(app, session, action, index).await {
            Ok(message) => posted = message.or(posted),
            Err(CallError::Rejected(reason)) if matches!(action, BotAction::RecordAnswer { .. }) => {
                tracing::debug!(session_id = %session.id, reason, "the answer was rejected; asking again");
                let retry = flow.retry(session.step.as_deref());
                // Each id is used for one action: another replica may have recorded the answer, and gone on, under the
                // first ids.
                for (number, action) in retry.actions.iter().enumerate() {
                    posted = perform(app, session, action, turn.actions.len() + number).await?.or(posted);
                }
                return Ok((retry, posted));
            }
            Err(error) => return Err(error),
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
