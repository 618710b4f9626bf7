//! One contact.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::missing_contact;
use crate::{App, domain::Contact, error::ConversationError, store::contacts};

pub(crate) async fn get_contact(app: &App, caller: &Caller, id: Uuid) -> Result<Contact, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    match contacts::find(&read.conn(), caller.account, id).await? {
        Some(contact) => Ok(contact),
        None => Err(missing_contact(&read.conn(), caller.account, id).await?),
    }
}
