//! One contact.

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{App, domain::Contact, error::ConversationError, store::contacts};

pub(crate) async fn get_contact(app: &App, caller: &Caller, id: Uuid) -> Result<Contact, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let contact = contacts::find(&read.conn(), caller.account, id).await?;
    contact.ok_or(ConversationError::NotFound("contact"))
}
