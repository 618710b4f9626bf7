//! A visitor is linked to a contact (rule X1), and what follows: their chats, the tickets made in them, and a contact that is left
//! without any use.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use uuid::Uuid;

use crate::{
    App,
    domain::{Conversation, NewLink, Visitor, VisitorLink},
    error::ConversationError,
    store::{closing_snapshots, contacts, conversations, tickets, visitors},
};

/// A visitor in one of their chats, which the caller of these steps changes and saves itself.
#[derive(Clone, Copy)]
pub(crate) struct VisitorInChat<'a> {
    pub(crate) account: AccountId,
    pub(crate) visitor_id: &'a str,
    /// None: a chat that starts now, or none.
    pub(crate) chat: Option<Uuid>,
}

impl<'a> From<&'a Conversation> for VisitorInChat<'a> {
    fn from(conversation: &'a Conversation) -> Self {
        Self { account: conversation.account, visitor_id: &conversation.visitor_id, chat: Some(conversation.id) }
    }
}

/// Links the visitor to the contact, and with them their other chats.
pub(crate) async fn link_visitor(
    app: &App,
    tx: &mut Tx,
    whose: VisitorInChat<'_>,
    link: NewLink,
    now: Time,
) -> Result<(), ConversationError> {
    let VisitorInChat { account, visitor_id, chat } = whose;
    let before = visitors::find(tx.conn(), account, visitor_id).await?;
    let Some(after) = Visitor::linked(before.as_ref(), account, visitor_id, link) else { return Ok(()) };
    let (from, to) = (before.map(|before| before.contact_id), after.contact_id);
    let is_verified = after.link == VisitorLink::Verified;
    visitors::save(tx, after).await?;
    for mut other in conversations::list_of_contact_for_update(tx, account, visitor_id, from).await? {
        if Some(other.id) != chat {
            other.move_to_contact(to);
            conversations::save(tx, &app.notifier, &mut other).await?;
        }
    }
    if is_verified {
        settle_tickets(tx, whose, to, now).await?;
    }
    match from.filter(|from| *from != to) {
        Some(from) => remove_if_unused(tx, whose, from).await,
        None => Ok(()),
    }
}

/// The tickets made in the visitor's chats count for their own contact.
pub(crate) async fn settle_tickets(
    tx: &mut Tx,
    whose: VisitorInChat<'_>,
    contact: Uuid,
    now: Time,
) -> Result<(), ConversationError> {
    for ticket in tickets::list_unsettled_for_update(tx, whose.account, whose.visitor_id).await? {
        if let Some(mut ticket) = ticket.settled(contact) {
            tickets::save(tx, &mut ticket, now).await?;
        }
    }
    Ok(())
}

/// Removes the contact that the visitor had, if a visitor's answer made it and nothing is left of it: no visitor, conversation,
/// address, ticket, nor a close whose mail may still be sent.
pub(crate) async fn remove_if_unused(tx: &mut Tx, whose: VisitorInChat<'_>, id: Uuid) -> Result<(), ConversationError> {
    let VisitorInChat { account, visitor_id, chat } = whose;
    let Some(mut contact) = contacts::find_for_update(tx, account, id).await? else { return Ok(()) };
    if !contact.made_by_visitor || !contact.emails.is_empty() {
        return Ok(());
    }
    let is_used = visitors::any_of_contact(tx, account, id).await?
        || conversations::any_of_contact(tx, account, id, chat).await?
        || tickets::any_of_contact(tx, account, id).await?
        || closing_snapshots::any_of_contact(tx, account, visitor_id, id).await?;
    if !is_used {
        contacts::delete(tx, &mut contact).await?;
    }
    Ok(())
}
