//! The visitor's answer to a property changes their contact, or links them to another one (rules B6, X1). The rules are in
//! `domain/visitor.rs`.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_proto::visible_line;
use uuid::Uuid;

use super::{
    VisitorInChat, display_name,
    identify_visitor::{get_or_new_contact, save_contact},
    link_visitor,
    lock_identities::{Identities, LockedIdentities},
};
use crate::{
    App,
    domain::{AnswerEffect, NewLink, Visitor, apply_answer},
    error::ConversationError,
};

/// Maximum length of a telephone number (characters).
const MAX_PHONE_LENGTH: usize = 50;

/// An answer of the visitor, in the form in which it is stored.
pub(crate) struct VisitorAnswer {
    property: String,
    value: String,
    /// The address of an answer to `email`.
    addresses: Vec<String>,
}

impl VisitorAnswer {
    /// None: it answers `email` and is no address that mail can go to.
    pub(crate) fn try_new(property: String, value: String) -> Option<Self> {
        let (value, addresses) = match property.as_str() {
            "email" => {
                let address = frontdesk_mail_address::canonical(&value)?;
                (address.clone(), vec![address])
            }
            "name" => (display_name(&value), Vec::new()),
            "phone" => (visible_line(&value).chars().take(MAX_PHONE_LENGTH).collect(), Vec::new()),
            _ => (value, Vec::new()),
        };
        Some(Self { property, value, addresses })
    }

    /// A mail address in its canonical spelling.
    pub(crate) fn email(address: String) -> Self {
        Self { property: "email".to_owned(), value: address.clone(), addresses: vec![address] }
    }

    /// Locks what recording the answer may change.
    pub(crate) async fn lock(
        &self,
        tx: &Tx,
        account: AccountId,
        visitor: &str,
        chat: Uuid,
    ) -> Result<LockedIdentities, ConversationError> {
        let identities = Identities {
            account,
            addresses: &self.addresses,
            visitor: Some(visitor),
            joined: None,
            chat: Some(chat),
            contact: None,
        };
        let locked = identities.lock(tx).await?;
        // Other answers of a visitor with a contact move nothing.
        if locked.visitor.is_none() || !self.addresses.is_empty() {
            identities.lock_rows(tx, &locked).await?;
        }
        Ok(locked)
    }
}

/// Records the visitor's answer. Returns the contact that their chats belong to then.
pub(crate) async fn record_visitor_answer(
    app: &App,
    tx: &mut Tx,
    whose: VisitorInChat<'_>,
    answer: VisitorAnswer,
    locked: LockedIdentities,
    now: Time,
) -> Result<Uuid, ConversationError> {
    let VisitorAnswer { property, value, .. } = answer;
    let visitor = locked.visitor;
    let own = visitor.as_ref().and_then(Visitor::own_contact);
    let owner = locked.owners.first().map(|owner| owner.contact_id);
    let mut contact = get_or_new_contact(tx, whose.account, own, now).await?;
    let before = contact.clone();
    let name = (property == "name").then(|| value.clone());
    let effect = apply_answer(visitor.as_ref(), &mut contact, &property, value, owner, now);
    let link = match effect {
        AnswerEffect::ContactChanged if own.is_some() && contact == before => NewLink::verified(contact.id),
        AnswerEffect::ContactChanged => NewLink::verified(save_contact(tx, contact, own.is_none(), now).await?),
        AnswerEffect::Claims { contact_id, address } => {
            let name = visitor.map_or(before.name.clone(), |visitor| visitor.name_or(&before.name));
            NewLink { name: Some(name), ..NewLink::claimed(contact_id, address) }
        }
        AnswerEffect::Nothing { contact_id } => match visitor {
            // The name is theirs, and not the contact's.
            Some(visitor) if name.is_some() => NewLink::same(&visitor),
            _ => return Ok(contact_id),
        },
    };
    let link = NewLink { name: name.or(link.name), ..link };
    let id = link.contact_id;
    link_visitor(app, tx, whose, link, now).await?;
    Ok(id)
}
