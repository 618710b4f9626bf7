//! The files of the team, newest first.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{App, domain::Attachment, error::ConversationError, store::attachments};

/// `after`: time and id of the last file before.
pub(crate) async fn list_attachments(
    app: &App,
    caller: &Caller,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Attachment>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(attachments::list_of_team(&read.conn(), caller.account, after, limit).await?)
}
