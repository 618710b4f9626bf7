//! Which contact a visitor is (rule X1): the step that starting a chat, writing in one and answering a bot have in common.
//!
//! A contact is a visitor's own by a signed token, by an agent's word, or because it was made for them. Typing an address that
//! another contact has links for the team's eyes only: it changes nothing of that contact and proves nothing.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_proto::normalized_line;
use uuid::Uuid;

use crate::{
    domain::{Author, Content, Conversation, Link, usable_address},
    error::ConversationError,
    store::{
        contacts::{self, Contact},
        conversations,
        entity::visitors,
    },
};

/// So many typed addresses a contact has at most.
const TYPED_AT_MOST: usize = 5;

/// The contact of a visitor who calls; an address that their token vouches for makes or finds one.
pub(super) async fn known(tx: &mut Tx, caller: &Caller, now: Time) -> Result<Option<Uuid>, ConversationError> {
    let visitor = contacts::find_visitor(tx.conn(), caller.account, &caller.actor.id).await?;
    let Some(address) = caller.email.as_deref().and_then(usable_address) else {
        return Ok(visitor.map(|visitor| visitor.contact_id));
    };
    let own = visitor.filter(|visitor| visitor.link == Link::Own).map(|visitor| visitor.contact_id);
    let id = vouched(tx, caller, own, address.clone(), now).await?;
    link(tx, caller.account, &caller.actor.id, id, Link::Own, Some(address)).await?;
    Ok(Some(id))
}

/// The conversation belongs to whom the caller's token vouches for, also when they logged in during it.
pub(super) async fn recognise(
    tx: &mut Tx,
    caller: &Caller,
    conversation: &mut Conversation,
    now: Time,
) -> Result<(), ConversationError> {
    if caller.email.is_none() {
        return Ok(());
    }
    if let Some(contact) = known(tx, caller, now).await? {
        belongs_to(conversation, contact, Author::system(), now);
    }
    Ok(())
}

/// The conversation belongs to the contact; the thread tells when that is new.
pub(super) fn belongs_to(conversation: &mut Conversation, contact: Uuid, by: Author, now: Time) {
    if conversation.row.contact_id != Some(contact) {
        conversation.row.contact_id = Some(contact);
        conversation.note(by, Content::ContactLinked { contact_id: contact }, now);
    }
}

/// The contact who has the address, by the word of a signed token.
async fn vouched(
    tx: &mut Tx,
    caller: &Caller,
    own: Option<Uuid>,
    address: String,
    now: Time,
) -> Result<Uuid, ConversationError> {
    let account = caller.account;
    if let Some(owner) = contacts::id_by_email(tx.conn(), account, &address).await? {
        let contact =
            contacts::find_for_update(tx, account, owner).await?.ok_or(ConversationError::NotFound("contact"))?;
        if contact.emails.iter().any(|email| email.verified && email.address == address) {
            return Ok(owner);
        }
        // Somebody typed it before: what is proved is worth more than what is typed.
        contacts::take_email(tx, account, &address).await?;
    }
    let mut contact = match own {
        Some(id) => contacts::find_for_update(tx, account, id).await?.ok_or(ConversationError::NotFound("contact"))?,
        None => Contact::new(account, now),
    };
    contact.add_email(address, true, now);
    if contact.row.name.is_empty() {
        contact.row.name = display_name(caller.name.as_deref().unwrap_or_default());
    }
    write(tx, &mut contact, own.is_some()).await
}

/// What the visitor of a conversation answered becomes theirs. Gives the contact that their chats belong to then.
pub(super) async fn answered(
    tx: &mut Tx,
    account: AccountId,
    visitor: &str,
    property: &str,
    value: &str,
    now: Time,
) -> Result<Uuid, ConversationError> {
    let known = contacts::find_visitor(tx.conn(), account, visitor).await?;
    let own = known.as_ref().filter(|known| known.link == Link::Own).map(|known| known.contact_id);
    let mut contact = match own {
        Some(id) => contacts::find_for_update(tx, account, id).await?.ok_or(ConversationError::NotFound("contact"))?,
        None => Contact::new(account, now),
    };
    match (property, usable_address(value).filter(|_| property == "email")) {
        (_, Some(address)) => match contacts::id_by_email(tx.conn(), account, &address).await? {
            Some(owner) if own != Some(owner) => {
                // Who is known by an address of their own stays who they are.
                if !contact.emails.is_empty() {
                    return Ok(contact.row.id);
                }
                link(tx, account, visitor, owner, Link::Typed, Some(address)).await?;
                return Ok(owner);
            }
            // Somebody who types one address after another collects no more than these.
            None if contact.emails.iter().filter(|email| !email.verified).count() >= TYPED_AT_MOST => {}
            _ => contact.add_email(address, false, now),
        },
        // The thread holds the answer; the contact is not theirs to write to.
        _ if own.is_none() && known.is_some() => return Ok(known.map_or(contact.row.id, |known| known.contact_id)),
        ("name", _) => contact.row.name = display_name(value),
        ("phone", _) => contact.row.phone = display_name(value),
        (property, _) => contact.set_property(property.to_owned(), value.to_owned()),
    }
    let id = write(tx, &mut contact, own.is_some()).await?;
    link(tx, account, visitor, id, Link::Own, None).await?;
    Ok(id)
}

/// The visitor is this contact from now on, and so are their chats. `address`: the one that proves it, or that they typed.
pub(super) async fn link(
    tx: &mut Tx,
    account: AccountId,
    visitor: &str,
    contact: Uuid,
    link: Link,
    address: Option<String>,
) -> Result<(), ConversationError> {
    let before = contacts::find_visitor(tx.conn(), account, visitor).await?;
    // What was proved stays so while they are the same contact.
    let proved = before.as_ref().filter(|before| before.contact_id == contact && before.link == link);
    let address = address.or_else(|| proved.and_then(|before| before.address.clone()));
    let after = visitors::Model { account_id: account, id: visitor.to_owned(), contact_id: contact, link, address };
    if before.as_ref() == Some(&after) {
        return Ok(());
    }
    contacts::save_visitor(tx, after).await?;
    let from = before.map(|before| before.contact_id);
    Ok(conversations::give_to_contact(tx, account, visitor, from, contact).await?)
}

async fn write(tx: &mut Tx, contact: &mut Contact, there: bool) -> Result<Uuid, ConversationError> {
    let written = if there { contacts::save(tx, contact).await? } else { contacts::insert(tx, contact).await? };
    if written { Ok(contact.row.id) } else { Err(ConversationError::AddressTaken) }
}

/// A name on one line, as one in a request is kept, of a length that a header bears.
fn display_name(text: &str) -> String {
    normalized_line(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect()
}
