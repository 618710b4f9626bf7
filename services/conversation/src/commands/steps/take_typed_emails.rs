//! A verified address replaces one that was typed (rule X1).

use frontdesk_clock::Time;
use frontdesk_db::Tx;

use crate::{domain::Contact, error::ConversationError, store::contacts};

/// Removes the verified addresses of the contact from other contacts that have them unverified, each with its own event. An
/// address that is verified there stays: saving the contact then finds it taken.
pub(crate) async fn take_typed_emails(tx: &mut Tx, contact: &Contact, now: Time) -> Result<(), ConversationError> {
    let verified = contact.emails.iter().filter(|email| email.verified);
    let verified: Vec<String> = verified.map(|email| email.address.clone()).collect();
    if verified.is_empty() {
        return Ok(());
    }
    let owners = contacts::find_ids_by_emails(tx.conn(), contact.account, &verified).await?;
    for owner in owners.into_iter().filter(|owner| *owner != contact.id) {
        let Some(mut other) = contacts::find_for_update(tx, contact.account, owner).await? else { continue };
        let count = other.emails.len();
        other.emails.retain(|email| email.verified || !verified.contains(&email.address));
        if other.emails.len() == count {
            continue;
        }
        if let Some(taken) = contacts::save(tx, &mut other, now).await? {
            return Err(ConversationError::Taken(taken));
        }
    }
    Ok(())
}
