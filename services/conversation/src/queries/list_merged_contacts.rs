//! The contacts that were merged into one, the latest first (rule X2).

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use super::missing_contact;
use crate::{
    App,
    domain::MergedContact,
    error::ConversationError,
    store::{contacts, merged_contacts},
};

/// `after`: time and id of the last merged contact before.
pub(crate) async fn list_merged_contacts(
    app: &App,
    caller: &Caller,
    id: Uuid,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<MergedContact>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let Some(contact) = contacts::find(&read.conn(), caller.account, id).await? else {
        return Err(missing_contact(&read.conn(), caller.account, id).await?);
    };
    Ok(merged_contacts::list(&read.conn(), caller.account, contact.id, after, limit).await?)
}
