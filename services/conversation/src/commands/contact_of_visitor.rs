//! Which contact a visitor is: the step that starting a chat and recording an answer have in common (rule X1).

use frontdesk_auth::{AccountId, Caller};
use frontdesk_clock::Time;
use frontdesk_db::Tx;
use uuid::Uuid;

use crate::{
    domain::usable_address,
    error::ConversationError,
    store::{
        contacts::{self, Contact},
        conversations, tickets,
    },
};

/// The contact of a visitor who starts a chat; an address that their token vouches for makes or finds one.
pub(super) async fn known(tx: &mut Tx, caller: &Caller, now: Time) -> Result<Option<Uuid>, ConversationError> {
    let visitor = caller.actor.id.as_str();
    let known = contacts::id_of_visitor(tx.conn(), caller.account, visitor).await?;
    let Some(address) = caller.email.as_deref().and_then(usable_address) else { return Ok(known) };
    let id = vouched(tx, caller, known, address, now).await?;
    if known != Some(id) {
        contacts::set_visitor(tx, caller.account, visitor, id).await?;
        conversations::give_to_contact(tx, caller.account, visitor, known, id).await?;
    }
    Ok(Some(id))
}

/// The contact who has the address, by the word of a signed token.
async fn vouched(
    tx: &mut Tx,
    caller: &Caller,
    known: Option<Uuid>,
    address: String,
    now: Time,
) -> Result<Uuid, ConversationError> {
    let account = caller.account;
    let id = contacts::id_by_email(tx.conn(), account, &address).await?.or(known);
    let mut contact = match id {
        Some(id) => contacts::find_for_update(tx, account, id).await?.ok_or(ConversationError::NotFound("contact"))?,
        None => Contact::new(account, now),
    };
    let verified = contact.emails.iter().any(|email| email.verified && email.address == address);
    if verified {
        return Ok(contact.row.id);
    }
    contact.add_email(address, true, now);
    if contact.row.name.is_empty() {
        contact.row.name = display_name(caller.name.as_deref().unwrap_or_default());
    }
    let written = match id {
        Some(_) => contacts::save(tx, &mut contact).await?,
        None => contacts::insert(tx, &contact).await?,
    };
    if written { Ok(contact.row.id) } else { Err(ConversationError::AddressTaken) }
}

/// What the visitor of a conversation answered becomes theirs. Gives the contact that the conversation belongs to then.
pub(super) async fn answered(
    tx: &mut Tx,
    account: AccountId,
    visitor: &str,
    property: &str,
    value: &str,
    now: Time,
) -> Result<Uuid, ConversationError> {
    let known = contacts::id_of_visitor(tx.conn(), account, visitor).await?;
    let address = if property == "email" { usable_address(value) } else { None };
    let owner = match &address {
        Some(address) => contacts::id_by_email(tx.conn(), account, address).await?,
        None => None,
    };
    let mut contact = match known {
        Some(id) => contacts::find_for_update(tx, account, id).await?.ok_or(ConversationError::NotFound("contact"))?,
        None => Contact::new(account, now),
    };
    if let Some(owner) = owner.filter(|owner| *owner != contact.row.id) {
        // A typed address proves nothing. Who is known by an address of their own stays who they are; somebody anonymous is
        // linked to the contact with the address, for the team's eyes only.
        if !contact.emails.is_empty() {
            return Ok(contact.row.id);
        }
        return linked(tx, account, visitor, known.map(|_| contact), owner).await;
    }
    match (property, address) {
        (_, Some(address)) => contact.add_email(address, false, now),
        ("name", _) => contact.row.name = display_name(value),
        ("phone", _) => contact.row.phone = display_name(value),
        (property, _) => contact.set_property(property.to_owned(), value.to_owned()),
    }
    let written = match known {
        Some(_) => contacts::save(tx, &mut contact).await?,
        None => contacts::insert(tx, &contact).await?,
    };
    if !written {
        return Err(ConversationError::AddressTaken);
    }
    contacts::set_visitor(tx, account, visitor, contact.row.id).await?;
    conversations::give_to_contact(tx, account, visitor, None, contact.row.id).await?;
    Ok(contact.row.id)
}

/// The visitor's anonymous chats, and what they said of themselves, go to the contact who has their address.
async fn linked(
    tx: &mut Tx,
    account: AccountId,
    visitor: &str,
    anonymous: Option<Contact>,
    owner: Uuid,
) -> Result<Uuid, ConversationError> {
    let mut contact =
        contacts::find_for_update(tx, account, owner).await?.ok_or(ConversationError::NotFound("contact"))?;
    if let Some(anonymous) = &anonymous {
        if contact.row.name.is_empty() {
            contact.row.name.clone_from(&anonymous.row.name);
        }
        let known = contact.properties();
        for (name, value) in anonymous.properties().into_iter().filter(|(name, _)| !known.contains_key(name)) {
            contact.set_property(name, value);
        }
        contacts::save(tx, &mut contact).await?;
        tickets::give_to_contact(tx, account, anonymous.row.id, owner).await?;
    }
    contacts::set_visitor(tx, account, visitor, owner).await?;
    conversations::give_to_contact(tx, account, visitor, anonymous.map(|contact| contact.row.id), owner).await?;
    Ok(owner)
}

/// A name on one line, of a length that a header bears.
fn display_name(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).take(200).collect()
}
