//! A visitor signs in: their chats as an anonymous visitor become theirs (rule S6).

use frontdesk_api::FieldError;
use frontdesk_auth::{AnonymousVisitor, Caller};
use frontdesk_clock::Time;
use frontdesk_db::{Tx, is_unique_violation};
use uuid::Uuid;

use super::steps::{
    LockedVisitor, VisitorInChat, display_name, link_visitor, remove_if_unused, settle_tickets, unusable_token_email,
};
use crate::{
    App,
    domain::{NewLink, Visitor, VisitorLink},
    error::ConversationError,
    store::{conversations, visitors},
};

/// Returns the open chat that stayed with the anonymous visitor, because the caller has one on the channel too.
pub(crate) async fn claim_anonymous_chats(
    app: &App,
    caller: &Caller,
    anonymous_token: &str,
) -> Result<Option<Uuid>, ConversationError> {
    if caller.is_anonymous_visitor() {
        return Err(ConversationError::Anonymous);
    }
    let anonymous = read_token(app, caller, anonymous_token)?;
    match try_claim(app, caller, &anonymous).await {
        // An agent reopened a chat of the caller's meanwhile (rule C2a): the next attempt finds it.
        Err(ConversationError::Db(error)) if is_unique_violation(&error) => try_claim(app, caller, &anonymous).await,
        result => result,
    }
}

async fn try_claim(
    app: &App,
    caller: &Caller,
    anonymous: &AnonymousVisitor,
) -> Result<Option<Uuid>, ConversationError> {
    let (account, id, anonymous_id) = (caller.account, caller.actor.id.as_str(), anonymous.to_string());
    let mut tx = app.db.begin_for(account).await?;
    let visitor = LockedVisitor::lock_with(&tx, caller, None, Some(&anonymous_id)).await?;
    if conversations::list_of_visitor(tx.conn(), account, &anonymous_id, None, None, 1).await?.is_empty() {
        return Ok(None);
    }
    let has_open = conversations::find_open(tx.conn(), account, anonymous.channel, id).await?.is_some();
    let now = tx.now().await?;
    let contact = contact_of_both(app, &mut tx, caller, &visitor, &anonymous_id, now).await?;

    // Read after the caller was recognised, which moves the chats of those who typed the address of their token.
    let before = visitors::find(tx.conn(), account, &anonymous_id).await?;
    let chats = conversations::list_of_visitor_for_update(&tx, account, &anonymous_id).await?;
    let name = display_name(caller.name.as_deref().unwrap_or_default());
    let mut remaining = None;
    for mut chat in chats {
        if has_open && chat.is_open() {
            remaining = Some(chat.id);
            continue;
        }
        chat.sign_in(id, &name, now);
        chat.set_unusable_token_email(unusable_token_email(caller));
        // A contact that an agent chose for the chat stays.
        let follows = chat.contact_id.is_none() || chat.contact_id == before.as_ref().map(|before| before.contact_id);
        if let Some(contact) = contact.filter(|_| follows) {
            chat.move_to_contact(contact);
        }
        conversations::save(&mut tx, &app.notifier, &mut chat).await?;
    }
    let whose = VisitorInChat { account, visitor_id: id, chat: None };
    let after = visitors::find(tx.conn(), account, id).await?;
    if let Some(own) = after.as_ref().and_then(Visitor::own_contact) {
        settle_tickets(&mut tx, whose, own, now).await?;
    }
    if let (Some(before), None) = (before, remaining) {
        visitors::delete(&tx, account, &anonymous_id).await?;
        remove_if_unused(&mut tx, whose, before.contact_id).await?;
    }
    tx.commit().await?;
    Ok(remaining)
}

fn read_token(app: &App, caller: &Caller, token: &str) -> Result<AnonymousVisitor, ConversationError> {
    let anonymous = AnonymousVisitor::from_token(token, &app.installation_secret).ok();
    let of_account = anonymous.filter(|anonymous| anonymous.account == caller.account);
    // A token that was signed with a channel's key is valid for that channel only.
    let of_channel = of_account.filter(|anonymous| caller.scope.is_none_or(|scope| scope == anonymous.channel));
    of_channel.ok_or_else(|| {
        let remedy = "must be a token of CreateAnonymousVisitor for the same channel that has not expired";
        ConversationError::Fields(vec![FieldError::new("anonymous_token", remedy)])
    })
}

/// The contact of the visitor who signed in: their own, or the one that they were linked to before.
async fn contact_of_both(
    app: &App,
    tx: &mut Tx,
    caller: &Caller,
    visitor: &LockedVisitor,
    anonymous_id: &str,
    now: Time,
) -> Result<Option<Uuid>, ConversationError> {
    if let Some(contact) = visitor.contact(app, tx, None, now).await? {
        return Ok(Some(contact));
    }
    let Some(before) = visitors::find(tx.conn(), caller.account, anonymous_id).await? else { return Ok(None) };
    let link = match (before.link, &before.address) {
        (VisitorLink::Claimed, Some(address)) => NewLink::claimed(before.contact_id, address.clone()),
        _ => NewLink::same(&before),
    };
    let named = [display_name(caller.name.as_deref().unwrap_or_default()), before.name.clone()];
    let link = NewLink { name: named.into_iter().find(|name| !name.is_empty()), ..link };
    let whose = VisitorInChat { account: caller.account, visitor_id: &caller.actor.id, chat: None };
    link_visitor(app, tx, whose, link, now).await?;
    Ok(Some(before.contact_id))
}
