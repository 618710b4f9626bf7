//! The files of the team, or the attachments of a contact, newest first (rules C5, C8).

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{
    App,
    domain::Attachment,
    error::ConversationError,
    store::{attachments, contacts},
};

/// `contact`: what was sent in their conversations; None: the files of the team. `after`: time and id of the last one before.
pub(crate) async fn list_attachments(
    app: &App,
    caller: &Caller,
    contact: Option<Uuid>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Attachment>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conn = read.conn();
    let Some(contact) = contact else {
        return Ok(attachments::list_of_team(&conn, caller.account, after, limit).await?);
    };
    let contact = contacts::resolve(&conn, caller.account, contact).await?;
    Ok(attachments::list_of_contact(&conn, caller.account, contact, after, limit).await?)
}
