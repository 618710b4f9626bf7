//! The team creates a contact (rules X1, X2).

use std::collections::BTreeMap;

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{
    lock_addresses, require_active_caller, require_active_owner, require_known_caller, require_known_owner,
    require_property_types, take_typed_emails,
};
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
    require_known_caller(app, caller).await?;
    require_known_owner(app, caller, command.contact.owner).await?;
    match try_create(app, caller, &command).await {
        Err(ConversationError::Db(error)) if contacts::is_external_id_raced(&error) => {
            try_create(app, caller, &command).await
        }
        result => result,
    }
}

async fn try_create(app: &App, caller: &Caller, command: &CreateContact) -> Result<Contact, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    if let Some(id) = command.key.claim::<Uuid>(&tx).await? {
        return contacts::find(tx.conn(), caller.account, id).await?.ok_or(ConversationError::NotFound("contact"));
    }

    let addresses: Vec<String> = command.contact.emails.iter().flatten().map(|email| email.address.clone()).collect();
    lock_addresses(&tx, caller.account, &addresses, None).await?;
    require_active_caller(&tx, caller).await?;
    let now = tx.now().await?;
    let empty = Contact::new(tx.new_id(), caller.account, now);
    let contact = empty.updated(command.contact.clone(), now).unwrap_or(empty);
    require_active_owner(&tx, caller, None, contact.owner).await?;
    require_property_types(&tx, &BTreeMap::new(), &contact).await?;
    take_typed_emails(app, &mut tx, &contact, now).await?;
    if let Some(taken) = contacts::insert(&mut tx, &contact).await? {
        return Err(ConversationError::Taken(taken));
    }
    command.key.store_result(&tx, &contact.id).await?;
    tx.commit().await?;
    Ok(contact)
}
