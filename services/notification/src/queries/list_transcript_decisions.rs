//! Decisions, newest first.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{
    App,
    error::NotificationError,
    store::{self, decisions::Decision},
};

/// Up to `limit` after a cursor.
pub(crate) async fn list_transcript_decisions(
    app: &App,
    caller: &Caller,
    conversation: Option<Uuid>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Decision>, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::decisions::list(&read.conn(), caller.account, conversation, after, limit).await?)
}
