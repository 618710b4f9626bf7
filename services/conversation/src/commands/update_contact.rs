//! A contact is edited by hand (rules X1, X2).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    error::ConversationError,
    store::contacts::{self, Contact},
};

/// None: as it is.
pub(crate) struct UpdateContact {
    pub contact: Uuid,
    pub name: Option<String>,
    /// In its one spelling. An agent's word counts as verified.
    pub email: Option<String>,
    pub phone: Option<String>,
    pub time_zone: Option<String>,
    /// Empty: whatever happened.
    pub etag: String,
}

pub(crate) async fn update_contact(
    app: &App,
    caller: &Caller,
    command: UpdateContact,
) -> Result<Contact, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let contact = contacts::find_for_update(&tx, caller.account, command.contact).await?;
    let mut contact = contact.ok_or(ConversationError::NotFound("contact"))?;
    if !command.etag.is_empty() && command.etag != contact.row.version.to_string() {
        return Err(ConversationError::EtagMismatch);
    }

    let now = tx.now().await?;
    contact.row.name = command.name.unwrap_or(contact.row.name);
    contact.row.phone = command.phone.unwrap_or(contact.row.phone);
    contact.row.time_zone = command.time_zone.unwrap_or(contact.row.time_zone);
    if let Some(email) = command.email {
        contacts::take_typed_email(&tx, caller.account, &email, contact.row.id).await?;
        contact.add_email(email, true, now);
    }
    if !contacts::save(&mut tx, &mut contact).await? {
        return Err(ConversationError::AddressTaken);
    }
    tx.commit().await?;
    Ok(contact)
}
