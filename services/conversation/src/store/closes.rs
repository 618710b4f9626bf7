//! What closes froze, and what one would freeze now.

use std::collections::HashMap;

use frontdesk_db::{AccountId, Tx};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel, entity::prelude::*};
use uuid::Uuid;

use super::{
    channels, contacts,
    entity::{
        closes::{Column, Entity, Model},
        contact_emails, conversations, visitors,
    },
    tickets,
};
use crate::domain::{ClosingFacts, Conversation, Link};

/// The facts that a close of the conversation freezes.
pub(crate) async fn facts<C: ConnectionTrait>(conn: &C, conversation: &Conversation) -> Result<ClosingFacts, DbErr> {
    let of = (conversation.row.account_id, conversation.row.id);
    Ok(facts_of_each(conn, &[conversation]).await?.remove(&of).unwrap_or_default())
}

/// The facts that closes of the conversations freeze, by account and id of the conversation.
pub(crate) async fn facts_of_each<C: ConnectionTrait>(
    conn: &C,
    conversations: &[&Conversation],
) -> Result<HashMap<(AccountId, Uuid), ClosingFacts>, DbErr> {
    let rows = || conversations.iter().map(|conversation| &conversation.row);
    let channels = channels::find_each(conn, rows().map(|row| (row.account_id, row.channel_id))).await?;
    let visitors = contacts::find_visitors(conn, rows().map(|row| (row.account_id, row.visitor_id.as_str()))).await?;
    let visitor_of = |row: &conversations::Model| {
        let visitor = visitors.get(&(row.account_id, row.visitor_id.clone()));
        visitor.filter(|visitor| Some(visitor.contact_id) == row.contact_id)
    };
    // What another contact has whom the visitor only typed their way to is not the visitor's.
    let own = |row: &conversations::Model| {
        visitor_of(row).filter(|visitor| visitor.link == Link::Own).map(|visitor| visitor.contact_id)
    };
    let owners: Vec<_> = rows().filter_map(|row| Some((row.account_id, own(row)?))).collect();
    let emails = contacts::emails_of_each(conn, owners.iter().copied()).await?;
    let tickets = tickets::Had::find(conn, rows().map(|row| (row.account_id, row.id)), owners.iter().copied()).await?;
    let facts = rows().map(|row| {
        let emails = own(row).and_then(|own| emails.get(&(row.account_id, own)));
        let (recipient, recipient_verified) = match recipient(visitor_of(row), emails.map_or(&[], Vec::as_slice)) {
            Some((address, verified)) => (Some(address), verified),
            None => (None, false),
        };
        let channel = channels.get(&(row.account_id, row.channel_id));
        let facts = ClosingFacts {
            recipient,
            recipient_verified,
            had_ticket: tickets.any_for(row.account_id, row.id, own(row)),
            transcript_enabled: channel.is_some_and(|channel| channel.transcript_enabled),
            sender_id: channel.and_then(|channel| channel.transcript_sender_id),
        };
        ((row.account_id, row.id), facts)
    });
    Ok(facts.collect())
}

/// Where the visitor's transcript goes, and whether that is proved: the address that their token vouched for, or the one that
/// they typed their way by, or else the first of their own contact; never one that another gave to a contact.
fn recipient(visitor: Option<&visitors::Model>, emails: &[contact_emails::Model]) -> Option<(String, bool)> {
    let visitor = visitor?;
    if visitor.link == Link::Typed {
        return visitor.address.clone().map(|address| (address, false));
    }
    let vouched = emails.iter().find(|email| Some(&email.address) == visitor.address.as_ref());
    vouched.or(emails.first()).map(|email| (email.address.clone(), email.verified))
}

/// What the conversation, as it is now, gives with these facts.
pub(crate) fn frozen(row: &conversations::Model, facts: ClosingFacts) -> Model {
    Model {
        conversation_id: row.id,
        close_number: row.close_number,
        account_id: row.account_id,
        contact_id: row.contact_id,
        recipient: facts.recipient,
        recipient_verified: facts.recipient_verified,
        had_bot_session: row.bot_session_id.is_some(),
        had_agent: row.had_agent,
        had_ticket: facts.had_ticket,
        transcript_enabled: facts.transcript_enabled,
        sender_id: facts.sender_id,
        last_sequence: row.last_sequence,
    }
}

/// Keeps what closes froze, in their transaction.
pub(super) async fn insert(tx: &Tx, closes: Vec<Model>) -> Result<(), DbErr> {
    if closes.is_empty() {
        return Ok(());
    }
    let closes = closes.into_iter().map(|close| close.into_active_model().reset_all());
    Entity::insert_many(closes).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    close_number: i32,
) -> Result<Option<Model>, DbErr> {
    let close = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::ConversationId.eq(conversation));
    close.filter(Column::CloseNumber.eq(close_number)).one(conn).await
}
