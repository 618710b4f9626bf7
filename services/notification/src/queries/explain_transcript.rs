//! Why a transcript was or was not sent by itself (rule T3).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::Delivery,
    error::NotificationError,
    store::{self, decisions::Decision},
};

/// The decision of a close, the last one without a number, and its delivery.
pub(crate) async fn explain_transcript(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    close_number: Option<i32>,
) -> Result<(Decision, Option<Delivery>), NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    let decision = store::decisions::find(&read.conn(), caller.account, conversation, close_number)
        .await?
        .ok_or(NotificationError::NotFound("transcript decision"))?;
    let delivery = match decision.delivery_id {
        Some(id) => store::deliveries::find(&read.conn(), caller.account, id).await?,
        None => None,
    };
    Ok((decision, delivery))
}
