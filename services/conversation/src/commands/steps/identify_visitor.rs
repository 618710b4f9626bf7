//! Which contact a visitor is (rule X1): the step that starting a chat, writing in one and answering a bot have in common. The
//! rules are in `domain/visitor.rs`.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_idempotency::{ClaimError, Key};
use frontdesk_proto::normalized_line;
use uuid::Uuid;

use super::take_typed_emails;
use crate::{
    App,
    domain::{Actor, AnswerEffect, Contact, Conversation, Visitor, VisitorLink, apply_answer},
    error::ConversationError,
    store::{contacts, conversations, visitors},
};

/// Maximum length of a name (characters). Mail headers contain it.
const MAX_NAME_LENGTH: usize = 200;
/// Maximum length of an address of a token that mail cannot go to (characters).
const MAX_ADDRESS_LENGTH: usize = 254;

/// A visitor in one of their chats, which the caller of these steps changes and saves itself.
#[derive(Clone, Copy)]
pub(crate) struct VisitorInChat<'a> {
    pub(crate) account: AccountId,
    pub(crate) visitor_id: &'a str,
    /// None: a chat that starts now.
    pub(crate) chat: Option<Uuid>,
}

impl<'a> From<&'a Conversation> for VisitorInChat<'a> {
    fn from(conversation: &'a Conversation) -> Self {
        Self { account: conversation.account, visitor_id: &conversation.visitor_id, chat: Some(conversation.id) }
    }
}

/// The contact of a visitor who calls. The address that their token vouches for finds or creates one. `chat`: the open one,
/// which the caller of this step changes and saves itself.
pub(crate) async fn contact_of_visitor(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    chat: Option<Uuid>,
    now: Time,
) -> Result<Option<Uuid>, ConversationError> {
    let visitor = visitors::find(tx.conn(), caller.account, &caller.actor.id).await?;
    let Some(address) = vouched_address(caller) else {
        return Ok(visitor.map(|visitor| visitor.contact_id));
    };
    let own = visitor.as_ref().and_then(Visitor::own_contact);
    let id = contact_with_vouched_address(tx, caller, own, address.clone(), now).await?;
    let whose = VisitorInChat { account: caller.account, visitor_id: &caller.actor.id, chat };
    link_visitor(app, tx, whose, (id, VisitorLink::Verified), Some(address)).await?;
    Ok(Some(id))
}

/// Links the conversation to the contact that the caller's token vouches for, also when the visitor logged in during it.
pub(crate) async fn recognise(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    conversation: &mut Conversation,
    now: Time,
) -> Result<(), ConversationError> {
    if caller.email.is_none() {
        return Ok(());
    }
    if let Some(contact) = contact_of_visitor(app, tx, caller, Some(conversation.id), now).await? {
        conversation.link_contact(contact, Actor::system(), now);
    }
    Ok(())
}

/// The same before the visitor's message is written, in a transaction of its own: only in an open chat of theirs, only until
/// the visitor is known by the address of their token, and not for a repeat, which changes nothing (rule C12).
pub(crate) async fn recognise_before_message(
    app: &App,
    caller: &Caller,
    chat: Uuid,
    key: &Key,
) -> Result<(), ConversationError> {
    let Some(address) = vouched_address(caller) else { return Ok(()) };
    let read = app.db.read_for(caller.account).await?;
    let visitor = visitors::find(&read.conn(), caller.account, &caller.actor.id).await?;
    let conversation = conversations::find(&read.conn(), caller.account, chat).await?;
    drop(read);
    let is_known = visitor.is_some_and(|visitor| visitor.is_known_by(&address, conversation.as_ref()));
    if is_known || conversation.is_none() {
        return Ok(());
    }

    let mut tx = app.db.begin_for(caller.account).await?;
    let conversation = conversations::find_for_update(&tx, caller.account, chat).await?;
    let own = conversation.filter(|conversation| conversation.visitor_id == caller.actor.id && conversation.is_open());
    let is_repeat = match key.find::<i64>(tx.conn()).await {
        Ok(first) => first.is_some(),
        Err(ClaimError::Reused) => true,
        Err(error) => return Err(error.into()),
    };
    if let Some(mut conversation) = own.filter(|_| !is_repeat) {
        let now = tx.now().await?;
        recognise(app, &mut tx, caller, &mut conversation, now).await?;
        conversations::save(&mut tx, &app.notifier, &mut conversation).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// The address in the caller's token when mail cannot go to it, which the team sees. Empty: there is none such.
pub(crate) fn unusable_token_email(caller: &Caller) -> String {
    match &caller.email {
        Some(address) if vouched_address(caller).is_none() => {
            display_name(address).chars().take(MAX_ADDRESS_LENGTH).collect()
        }
        _ => String::new(),
    }
}

fn vouched_address(caller: &Caller) -> Option<String> {
    caller.email.as_deref().and_then(frontdesk_mail_address::canonical)
}

/// The contact that has the address, which a signed token verifies. `own`: the visitor's own contact until now.
async fn contact_with_vouched_address(
    tx: &mut Tx,
    caller: &Caller,
    own: Option<Uuid>,
    address: String,
    now: Time,
) -> Result<Uuid, ConversationError> {
    if let Some(owner) = contacts::find_id_by_email(tx.conn(), caller.account, &address).await? {
        let contact = get_contact_for_update(tx, caller.account, owner).await?;
        if contact.has_verified(&address) {
            return Ok(owner);
        }
    }
    let mut contact = get_or_new_contact(tx, caller.account, own, now).await?;
    contact.add_email(address, true, now);
    take_typed_emails(tx, &contact, now).await?;
    if contact.name.is_empty() {
        contact.name = display_name(caller.name.as_deref().unwrap_or_default());
    }
    save_contact(tx, contact, own.is_none(), now).await
}

/// Records the visitor's answer to a property. Returns the contact that their chats belong to then.
pub(crate) async fn record_visitor_answer(
    app: &App,
    tx: &mut Tx,
    whose: VisitorInChat<'_>,
    property: &str,
    value: &str,
    now: Time,
) -> Result<Uuid, ConversationError> {
    let VisitorInChat { account, visitor_id, .. } = whose;
    let visitor = visitors::find(tx.conn(), account, visitor_id).await?;
    let own = visitor.as_ref().and_then(Visitor::own_contact);
    let mut contact = get_or_new_contact(tx, account, own, now).await?;
    let before = contact.clone();
    let (value, owner) = match (property, frontdesk_mail_address::canonical(value)) {
        ("email", Some(address)) => {
            let owner = contacts::find_id_by_email(tx.conn(), account, &address).await?;
            (address, owner)
        }
        ("name" | "phone", _) => (display_name(value), None),
        _ => (value.to_owned(), None),
    };
    let (id, link, address) = match apply_answer(visitor.as_ref(), &mut contact, property, value, owner, now) {
        AnswerEffect::ContactChanged if own.is_some() && contact == before => (contact.id, VisitorLink::Verified, None),
        AnswerEffect::ContactChanged => {
            (save_contact(tx, contact, own.is_none(), now).await?, VisitorLink::Verified, None)
        }
        AnswerEffect::Claims { contact_id, address } => (contact_id, VisitorLink::Claimed, Some(address)),
        AnswerEffect::Nothing { contact_id } => return Ok(contact_id),
    };
    link_visitor(app, tx, whose, (id, link), address).await?;
    Ok(id)
}

/// Links the visitor to the contact, and with them their other chats. `address`: the one that proves the link, or that they typed.
pub(crate) async fn link_visitor(
    app: &App,
    tx: &mut Tx,
    whose: VisitorInChat<'_>,
    link: (Uuid, VisitorLink),
    address: Option<String>,
) -> Result<(), ConversationError> {
    let VisitorInChat { account, visitor_id, chat } = whose;
    let before = visitors::find(tx.conn(), account, visitor_id).await?;
    if let Some(after) = Visitor::linked(before.as_ref(), account, visitor_id, link, address) {
        let (from, to) = (before.map(|before| before.contact_id), after.contact_id);
        visitors::save(tx, after).await?;
        for mut other in conversations::list_of_contact_for_update(tx, account, visitor_id, from).await? {
            if Some(other.id) != chat {
                other.move_to_contact(to);
                conversations::save(tx, &app.notifier, &mut other).await?;
            }
        }
    }
    Ok(())
}

async fn get_contact_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Contact, ConversationError> {
    contacts::find_for_update(tx, account, id).await?.ok_or(ConversationError::NotFound("contact"))
}

async fn get_or_new_contact(
    tx: &Tx,
    account: AccountId,
    id: Option<Uuid>,
    now: Time,
) -> Result<Contact, ConversationError> {
    match id {
        Some(id) => get_contact_for_update(tx, account, id).await,
        None => Ok(Contact::new(tx.new_id(), account, now)),
    }
}

async fn save_contact(tx: &mut Tx, mut contact: Contact, is_new: bool, now: Time) -> Result<Uuid, ConversationError> {
    let taken = match is_new {
        true => contacts::insert(tx, &contact).await?,
        false => contacts::save(tx, &mut contact, now).await?,
    };
    taken.map_or(Ok(contact.id), |taken| Err(ConversationError::Taken(taken)))
}

/// A name on one line, normalised as a line of a request is.
pub(crate) fn display_name(text: &str) -> String {
    let line = normalized_line(text);
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).take(MAX_NAME_LENGTH).collect()
}
