//! Explains why a transcript was or was not sent automatically (rule T3).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
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
    let decision = store::transcript_decisions::find(&read.conn(), caller.account, conversation, close_number)
        .await?
        .ok_or(NotificationError::NotFound("transcript decision"))?;
    let delivery = match decision.delivery {
        Some(id) => store::deliveries::find(&read.conn(), caller.account, id).await?,
        None => None,
    };
    Ok((decision, delivery))
}
