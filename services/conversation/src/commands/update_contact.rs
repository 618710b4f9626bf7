//! An agent edits a contact (rules X1, X2).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::{Contact, ContactUpdate},
    error::ConversationError,
    store::contacts,
};

pub(crate) struct UpdateContact {
    pub(crate) contact: Uuid,
    pub(crate) update: ContactUpdate,
    /// The etag that the caller read. Empty: update unconditionally.
    pub(crate) etag: String,
}

pub(crate) async fn update_contact(
    app: &App,
    caller: &Caller,
    command: UpdateContact,
) -> Result<Contact, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let contact = contacts::find_for_update(&tx, caller.account, command.contact).await?;
    let mut contact = contact.ok_or(ConversationError::NotFound("contact"))?;
    if !command.etag.is_empty() && command.etag != contact.etag() {
        return Err(ConversationError::EtagMismatch);
    }

    let now = tx.now().await?;
    if let Some(email) = &command.update.email {
        contacts::remove_typed_email(&tx, caller.account, email, contact.id).await?;
    }
    contact.update(command.update, now);
    if !contacts::save(&mut tx, &mut contact).await? {
        return Err(ConversationError::AddressTaken);
    }
    tx.commit().await?;
    Ok(contact)
}
