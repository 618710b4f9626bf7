//! Decisions, newest first.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{App, domain::TranscriptDecision, error::NotificationError, store};

/// Returns up to `limit` decisions after a cursor.
pub(crate) async fn list_transcript_decisions(
    app: &App,
    caller: &Caller,
    conversation: Option<Uuid>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<TranscriptDecision>, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::transcript_decisions::list(&read.conn(), caller.account, conversation, after, limit).await?)
}
