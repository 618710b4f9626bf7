//! A verified address replaces one that was typed (rule X1).

use std::collections::BTreeSet;

use frontdesk_clock::Time;
use frontdesk_db::Tx;
use uuid::Uuid;

use super::{VisitorInChat, link_visitor};
use crate::{
    App,
    domain::{Contact, ContactEmail, NewLink},
    error::ConversationError,
    store::{contacts, visitors},
};

/// Removes the verified addresses of the contact from other contacts that have them unverified, each with its own event. An
/// address that is verified there stays: saving the contact then finds it taken. Visitors whose own contact has no address then
/// follow the one that they typed. The addresses are locked before (`lock_identities`).
pub(crate) async fn take_typed_emails(
    app: &App,
    tx: &mut Tx,
    contact: &Contact,
    now: Time,
) -> Result<(), ConversationError> {
    let verified = contact.emails.iter().filter(|email| email.verified);
    let verified: Vec<String> = verified.map(|email| email.address.clone()).collect();
    if verified.is_empty() {
        return Ok(());
    }
    let owners = contacts::find_ids_by_emails(tx.conn(), contact.account, &verified).await?;
    for owner in owners.into_iter().filter(|owner| *owner != contact.id) {
        let Some(mut other) = contacts::find_for_update(tx, contact.account, owner).await? else { continue };
        let is_taken = |address: &String| verified.contains(address);
        let emails = std::mem::take(&mut other.emails);
        let (taken, left) = emails.into_iter().partition(|email| !email.verified && is_taken(&email.address));
        other.emails = left;
        let Some(address) = address_of_first(taken) else { continue };
        if let Some(taken) = contacts::save(tx, &mut other, now).await? {
            return Err(ConversationError::Taken(taken));
        }
        if other.emails.is_empty() {
            follow(app, tx, &other, (contact.id, address), now).await?;
        }
    }
    Ok(())
}

fn address_of_first(emails: Vec<ContactEmail>) -> Option<String> {
    emails.into_iter().next().map(|email| email.address)
}

/// The visitors of the contact that lost its only address are linked to the one that has it, as if they typed it now.
async fn follow(
    app: &App,
    tx: &mut Tx,
    from: &Contact,
    (to, address): (Uuid, String),
    now: Time,
) -> Result<(), ConversationError> {
    for visitor in visitors::list_of_own_contacts(tx.conn(), from.account, &BTreeSet::from([from.id])).await? {
        let whose = VisitorInChat { account: from.account, visitor_id: &visitor.id, chat: None };
        let name = visitor.name_or(&from.name);
        let link = NewLink { name: Some(name), ..NewLink::claimed(to, address.clone()) };
        link_visitor(app, tx, whose, link, now).await?;
    }
    Ok(())
}
