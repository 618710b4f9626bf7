//! Explains why a transcript was or was not sent automatically (rule T3).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::foresee_decision;
use crate::{
    App,
    conversation::{CallError, Conversation},
    domain::{Delivery, TranscriptDecision},
    error::NotificationError,
    store,
};

/// The close to explain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExplainTranscript {
    pub(crate) conversation: Uuid,
    /// None: the last close that was decided.
    pub(crate) close_number: Option<i32>,
    /// Of an open conversation, explain the next close as if it were now.
    pub(crate) forecast: bool,
}

/// Returns the decision of a close and its delivery.
pub(crate) async fn explain_transcript(
    app: &App,
    caller: &Caller,
    query: ExplainTranscript,
) -> Result<(TranscriptDecision, Option<Delivery>), NotificationError> {
    let ExplainTranscript { conversation, close_number, forecast } = query;
    let read = app.db.read_for(caller.account).await?;
    let decision = store::transcript_decisions::find(&read.conn(), caller.account, conversation, close_number).await?;
    let Some(decision) = decision else {
        drop(read);
        return explain_undecided(app, caller, conversation, close_number, forecast).await;
    };
    let delivery = match decision.delivery {
        Some(id) => store::deliveries::find(&read.conn(), caller.account, id).await?,
        None => None,
    };
    Ok((decision, delivery))
}

/// Returns the forecast of a decision, or why there is no decision: it comes with a close, it comes soon, or it never comes.
async fn explain_undecided(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    close_number: Option<i32>,
    forecast: bool,
) -> Result<(TranscriptDecision, Option<Delivery>), NotificationError> {
    let found = match app.conversation.get_conversation(caller.account, conversation).await {
        Ok(found) => found,
        Err(CallError::NotFound(resource)) => return Err(NotificationError::NotFound(resource)),
        // Whether one comes is not known now: the caller asks again.
        Err(CallError::Unavailable(_)) => return Err(NotificationError::NotDecided),
    };
    match why_undecided(&found, close_number) {
        NotificationError::NotClosed if forecast => {
            let facts = app.conversation.get_closing_facts(caller.account, conversation, 0).await?;
            let decision = foresee_decision(app, caller.account, &found, conversation, &facts).await?;
            Ok((decision, None))
        }
        error => Err(error),
    }
}

fn why_undecided(found: &Conversation, close_number: Option<i32>) -> NotificationError {
    let next = found.close_number + 1;
    match close_number.unwrap_or(found.close_number.max(1)) {
        number if number < next => NotificationError::NotDecided,
        number if number == next && !found.closed => NotificationError::NotClosed,
        _ => NotificationError::NotFound("close"),
    }
}
