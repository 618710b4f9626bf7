//! Explains why a transcript was or was not sent automatically (rule T3).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    conversation::CallError,
    domain::{Delivery, TranscriptDecision},
    error::NotificationError,
    store,
};

/// Returns the decision of a close and its delivery; without a number, of the last close that was decided.
pub(crate) async fn explain_transcript(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    close_number: Option<i32>,
) -> Result<(TranscriptDecision, Option<Delivery>), NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    let decision = store::transcript_decisions::find(&read.conn(), caller.account, conversation, close_number).await?;
    let Some(decision) = decision else {
        drop(read);
        return Err(why_undecided(app, caller, conversation, close_number).await);
    };
    let delivery = match decision.delivery {
        Some(id) => store::deliveries::find(&read.conn(), caller.account, id).await?,
        None => None,
    };
    Ok((decision, delivery))
}

/// Returns why there is no decision: it comes with a close, it comes soon, or it never comes.
async fn why_undecided(app: &App, caller: &Caller, conversation: Uuid, close_number: Option<i32>) -> NotificationError {
    let found = match app.conversation.get_conversation(caller.account, conversation).await {
        Ok(found) => found,
        Err(CallError::NotFound(resource)) => return NotificationError::NotFound(resource),
        // Whether one comes is not known now: the caller asks again.
        Err(CallError::Unavailable(_)) => return NotificationError::NotDecided,
    };
    let next = found.close_number + 1;
    match close_number.unwrap_or(found.close_number.max(1)) {
        number if number < next => NotificationError::NotDecided,
        number if number == next && !found.closed => NotificationError::NotClosed,
        _ => NotificationError::NotFound("close"),
    }
}
