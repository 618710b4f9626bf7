//! A contact is created by hand (rules X1, X2).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use crate::{
    App,
    error::ConversationError,
    store::contacts::{self, Contact},
};

pub(crate) struct CreateContact {
    pub name: String,
    /// In its one spelling. An agent's word counts as verified.
    pub email: Option<String>,
    pub phone: String,
    pub time_zone: String,
    pub key: Key,
}

pub(crate) async fn create_contact(
    app: &App,
    caller: &Caller,
    command: CreateContact,
) -> Result<Contact, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    if let Some(id) = command.key.claim::<Uuid>(&tx).await? {
        return contacts::find(tx.conn(), caller.account, id).await?.ok_or(ConversationError::NotFound("contact"));
    }

    let now = tx.now().await?;
    let mut contact = Contact::new(caller.account, now);
    contact.row.name = command.name;
    contact.row.phone = command.phone;
    contact.row.time_zone = command.time_zone;
    if let Some(email) = command.email {
        contacts::take_typed_email(&tx, caller.account, &email, contact.row.id).await?;
        contact.add_email(email, true, now);
    }
    if !contacts::insert(&mut tx, &contact).await? {
        return Err(ConversationError::AddressTaken);
    }
    command.key.store_result(&tx, &contact.row.id).await?;
    tx.commit().await?;
    Ok(contact)
}
