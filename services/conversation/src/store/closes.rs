//! What closes froze, and what one would freeze now.

use frontdesk_auth::AccountId;
use frontdesk_db::Tx;
use sea_orm::{DbErr, EntityTrait, IntoActiveModel, entity::prelude::*};
use uuid::Uuid;

use super::{
    channels, contacts,
    entity::{
        closes::{Column, Entity, Model},
        conversations, visitors,
    },
    tickets,
};
use crate::domain::{ClosingFacts, Conversation, Link};

/// The facts that a close of the conversation freezes.
pub(crate) async fn facts<C: ConnectionTrait>(conn: &C, conversation: &Conversation) -> Result<ClosingFacts, DbErr> {
    let row = &conversation.row;
    let channel = channels::find(conn, row.account_id, row.channel_id).await?;
    let visitor = contacts::find_visitor(conn, row.account_id, &row.visitor_id).await?;
    let visitor = visitor.filter(|visitor| Some(visitor.contact_id) == row.contact_id);
    // Tickets of a contact that the visitor only typed their way to are not the visitor's.
    let own = row.contact_id.filter(|_| visitor.as_ref().is_some_and(|visitor| visitor.link == Link::Own));
    let (recipient, recipient_verified) = match recipient(conn, visitor).await? {
        Some((address, verified)) => (Some(address), verified),
        None => (None, false),
    };
    Ok(ClosingFacts {
        recipient,
        recipient_verified,
        had_ticket: tickets::any_for(conn, row.account_id, row.id, own).await?,
        transcript_enabled: channel.as_ref().is_some_and(|channel| channel.transcript_enabled),
        sender_id: channel.and_then(|channel| channel.transcript_sender_id),
    })
}

/// Where the visitor's transcript goes, and whether that is proved: the address that their token vouched for, or the one that
/// they typed their way by, or else the first of their own contact; never one that another gave to a contact.
async fn recipient<C: ConnectionTrait>(
    conn: &C,
    visitor: Option<visitors::Model>,
) -> Result<Option<(String, bool)>, DbErr> {
    let Some(visitor) = visitor else { return Ok(None) };
    if visitor.link == Link::Typed {
        return Ok(visitor.address.map(|address| (address, false)));
    }
    let contact = contacts::find(conn, visitor.account_id, visitor.contact_id).await?;
    let emails = contact.map(|contact| contact.emails).unwrap_or_default();
    let vouched = emails.iter().find(|email| Some(&email.address) == visitor.address.as_ref());
    Ok(vouched.or(emails.first()).map(|email| (email.address.clone(), email.verified)))
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
