//! An agent creates a contact (rules X1, X2).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use crate::{
    App,
    domain::{Contact, ContactUpdate},
    error::ConversationError,
    store::contacts,
};

pub(crate) struct CreateContact {
    /// What the new contact has.
    pub(crate) contact: ContactUpdate,
    pub(crate) key: Key,
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
    let mut contact = Contact::new(tx.new_id(), caller.account, now);
    if let Some(email) = &command.contact.email {
        contacts::remove_typed_email(&tx, caller.account, email, contact.id).await?;
    }
    contact.update(command.contact, now);
    if !contacts::insert(&mut tx, &contact).await? {
        return Err(ConversationError::AddressTaken);
    }
    command.key.store_result(&tx, &contact.id).await?;
    tx.commit().await?;
    Ok(contact)
}
