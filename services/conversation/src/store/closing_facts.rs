//! Reads the rows from which the domain derives the facts of a close (rule T2).

use std::collections::HashMap;

use frontdesk_db::AccountId;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::{account_settings, channels, contacts, tickets, visitors};
use crate::domain::{ClosingFacts, Conversation};

/// The facts of a close of the conversation now.
pub(crate) async fn find<C: ConnectionTrait>(conn: &C, conversation: &Conversation) -> Result<ClosingFacts, DbErr> {
    let mut facts = find_many(conn, &[conversation]).await?;
    Ok(facts.remove(&(conversation.account, conversation.id)).unwrap_or_default())
}

/// The facts of closes of several conversations now, by account and id of the conversation.
pub(crate) async fn find_many<C: ConnectionTrait>(
    conn: &C,
    conversations: &[&Conversation],
) -> Result<HashMap<(AccountId, Uuid), ClosingFacts>, DbErr> {
    let all = || conversations.iter().copied();
    let channels = channels::find_many(conn, all().map(|one| (one.account, one.channel_id))).await?;
    // The visitor of a conversation without a contact adds no fact.
    let with_contact = all().filter(|one| one.contact_id.is_some());
    let visitors = visitors::find_many(conn, with_contact.map(|one| (one.account, one.visitor_id.as_str()))).await?;
    let visitor_of = |one: &Conversation| visitors.get(&(one.account, one.visitor_id.clone()));
    let own_contact = |one: &Conversation| Some((one.account, ClosingFacts::own_contact(one, visitor_of(one))?));
    let contacts: Vec<_> = all().filter_map(own_contact).collect();
    let emails = contacts::find_emails(conn, contacts.iter().copied()).await?;
    let tickets = tickets::list_of(conn, all().map(|one| (one.account, one.id)), contacts.iter().copied()).await?;
    let settings = account_settings::find_many(conn, all().map(|one| one.account).collect()).await?;
    let facts = all().map(|one| {
        let emails = own_contact(one).and_then(|contact| emails.get(&contact));
        let emails = emails.map_or(&[][..], Vec::as_slice);
        let channel = channels.get(&(one.account, one.channel_id));
        let settings = settings.get(&one.account);
        let facts = ClosingFacts::new(one, visitor_of(one), channel, emails, &tickets, settings);
        ((one.account, one.id), facts)
    });
    Ok(facts.collect())
}
