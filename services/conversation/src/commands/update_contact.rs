//! The team edits a contact (rules X1, X2).

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{
    lock_addresses, require_active_caller, require_active_owner, require_known_caller, require_known_owner,
    require_property_types, take_typed_emails,
};
use crate::{
    App,
    domain::{Contact, ContactUpdate},
    error::ConversationError,
    queries::missing_contact,
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
    require_known_caller(app, caller).await?;
    require_known_owner(app, caller, command.update.owner).await?;
    match try_update(app, caller, &command).await {
        Err(ConversationError::Db(error)) if contacts::is_external_id_raced(&error) => {
            try_update(app, caller, &command).await
        }
        Err(ConversationError::ContactMerged { .. }) => try_update(app, caller, &command).await,
        result => result,
    }
}

async fn try_update(app: &App, caller: &Caller, command: &UpdateContact) -> Result<Contact, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let Some(before) = contacts::find(tx.conn(), caller.account, command.contact).await? else {
        return Err(missing_contact(tx.conn(), caller.account, command.contact).await?);
    };
    if let Some(emails) = &command.update.emails {
        // Those that the contact loses too: nobody else decides about them meanwhile.
        let addresses = before.emails.into_iter().map(|email| email.address);
        let addresses: Vec<_> = addresses.chain(emails.iter().map(|email| email.address.clone())).collect();
        lock_addresses(&tx, caller.account, &addresses, Some(before.id)).await?;
    }
    let contact = contacts::find_for_update(&tx, caller.account, before.id).await?;
    let contact = contact.ok_or(ConversationError::NotFound("contact"))?;
    if contact.id != before.id {
        return Err(ConversationError::ContactMerged { contact: contact.id });
    }
    let now = tx.now().await?;
    let Some(mut updated) = contact.updated(command.update.clone(), now) else { return Ok(contact) };
    if !command.etag.is_empty() && command.etag != contact.etag() {
        return Err(ConversationError::EtagMismatch("contact"));
    }

    require_active_caller(&tx, caller).await?;
    require_active_owner(&tx, caller, contact.owner, updated.owner).await?;
    require_property_types(&tx, &contact.properties, &updated).await?;
    take_typed_emails(app, &mut tx, &updated, now).await?;
    if let Some(taken) = contacts::save(&mut tx, &mut updated, now).await? {
        return Err(ConversationError::Taken(taken));
    }
    tx.commit().await?;
    Ok(updated)
}
