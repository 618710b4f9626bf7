//! Decisions: one for each close (rule T3).

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, entity::prelude::*,
    sea_query::OnConflict,
};

use super::entity::transcript_decision::{Column, Entity, Model};
use crate::domain::{ConversationClose, DecisionFacts, SkipReason, TranscriptDecision};

/// Inserts the decision of a close. Returns false when the close has a decision already, which stays.
pub(crate) async fn insert_once(tx: &Tx, decision: &TranscriptDecision) -> Result<bool, DbErr> {
    insert_all_once(tx, std::slice::from_ref(decision)).await
}

/// Inserts the decisions of closes. Returns false when one of them has a decision already, which stays.
pub(crate) async fn insert_all_once(tx: &Tx, decisions: &[TranscriptDecision]) -> Result<bool, DbErr> {
    // The count of rows is right on both databases.
    let inserted = Entity::insert_many(decisions.iter().map(|decision| to_row(decision).into_active_model()))
        .on_conflict(
            OnConflict::columns([Column::AccountId, Column::ConversationId, Column::CloseNumber])
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(tx.conn())
        .await?;
    Ok(inserted == decisions.len() as u64)
}

/// Returns the decision of a close; without a number, of the last close that was decided.
pub(crate) async fn find<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    conversation: Uuid,
    close_number: Option<i32>,
) -> Result<Option<TranscriptDecision>, DbErr> {
    let mut query = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ConversationId.eq(conversation))
        .order_by_desc(Column::CloseNumber);
    if let Some(number) = close_number {
        query = query.filter(Column::CloseNumber.eq(number));
    }
    query.one(db).await?.map(to_domain).transpose()
}

/// Returns the decisions after a cursor, newest first.
pub(crate) async fn list<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    conversation: Option<Uuid>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<TranscriptDecision>, DbErr> {
    let mut query = Entity::find().filter(Column::AccountId.eq(account));
    if let Some(conversation) = conversation {
        query = query.filter(Column::ConversationId.eq(conversation));
    }
    if let Some(last) = after {
        query = query.filter(super::after(Column::CreatedAt, Column::Id, last));
    }
    let rows = query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(db).await?;
    rows.into_iter().map(to_domain).collect()
}

fn to_row(decision: &TranscriptDecision) -> Model {
    let close = &decision.close;
    Model {
        id: decision.id,
        account_id: close.account,
        conversation_id: close.conversation,
        close_number: close.number,
        skip_reason: decision.skip_reason.map(|reason| reason.as_str().to_owned()),
        delivery_id: decision.delivery,
        channel_id: close.channel,
        contact_id: close.contact,
        sender_id: close.sender,
        last_sequence: close.last_sequence.into(),
        had_bot_session: close.facts.had_bot_session,
        had_agent: close.facts.had_agent,
        had_ticket: close.facts.had_ticket,
        email_usable: close.facts.email_usable,
        email_verified: close.facts.email_verified,
        token_email_unusable: close.facts.token_email_unusable,
        transcript_enabled: close.facts.transcript_enabled,
        closed_at: close.closed_at,
        created_at: decision.created_at,
        // A decision never changes.
        version: 1,
    }
}

fn to_domain(row: Model) -> Result<TranscriptDecision, DbErr> {
    Ok(TranscriptDecision {
        id: row.id,
        close: ConversationClose {
            account: row.account_id,
            conversation: row.conversation_id,
            number: row.close_number,
            channel: row.channel_id,
            contact: row.contact_id,
            sender: row.sender_id,
            last_sequence: super::sequence("transcript_decisions.last_sequence", row.last_sequence)?,
            closed_at: row.closed_at,
            facts: DecisionFacts {
                transcript_enabled: row.transcript_enabled,
                had_bot_session: row.had_bot_session,
                had_agent: row.had_agent,
                had_ticket: row.had_ticket,
                contact_known: row.contact_id.is_some(),
                email_usable: row.email_usable,
                email_verified: row.email_verified,
                token_email_unusable: row.token_email_unusable,
            },
        },
        skip_reason: row.skip_reason.as_deref().map(SkipReason::parse),
        delivery: row.delivery_id,
        created_at: row.created_at,
    })
}
