//! The closes that end periods of the history. Stored apart from the periods: the two may become known in any order.

use std::collections::BTreeMap;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, sea_query::OnConflict};
use uuid::Uuid;

use super::entity::assignment_close::{Column, Entity, Model};
use crate::domain::PeriodEnd;

/// Records closes of conversations, also repeatedly: an epoch has one at most. `ends`: in the order of their conversations, so that two
/// transactions that record the same ones wait for each other, and never in a circle.
pub(crate) async fn record(tx: &Tx, ends: impl IntoIterator<Item = (AccountId, PeriodEnd)>) -> Result<(), DbErr> {
    let row = |(account, end): (AccountId, PeriodEnd)| {
        let PeriodEnd { conversation, epoch, closed_at } = end;
        Model { account_id: account.0, conversation_id: conversation, epoch, closed_at }.into_active_model()
    };
    let rows: Vec<_> = ends.into_iter().map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let once = OnConflict::columns([Column::AccountId, Column::ConversationId, Column::Epoch]).do_nothing().to_owned();
    Entity::insert_many(rows).on_conflict(once).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Returns when the conversation was closed, by epoch, for those of these epochs in which it was.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    epochs: Vec<i64>,
) -> Result<BTreeMap<i64, Time>, DbErr> {
    let rows = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ConversationId.eq(conversation))
        .filter(Column::Epoch.is_in(epochs))
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (row.epoch, row.closed_at)).collect())
}
