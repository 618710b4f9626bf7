//! The last turn of each agent: who was given a conversation the longest time ago.

use std::collections::BTreeMap;

use frontdesk_db::{AccountId, Tx};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, sea_query::OnConflict};
use uuid::Uuid;

use super::entity::routing_turn::{Column, Entity, Model};

/// Returns the last turn of each agent who had one.
pub(crate) async fn list<C: ConnectionTrait>(conn: &C, account: AccountId) -> Result<BTreeMap<Uuid, i64>, DbErr> {
    let rows = Entity::find().filter(Column::AccountId.eq(account)).all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.agent_id, row.turn)).collect())
}

/// Stores the last turn of these agents. The account is locked.
pub(crate) async fn save(tx: &Tx, account: AccountId, turns: BTreeMap<Uuid, i64>) -> Result<(), DbErr> {
    let newer = OnConflict::columns([Column::AccountId, Column::AgentId]).update_column(Column::Turn).to_owned();
    let row = |(agent_id, turn)| Model { account_id: account.0, agent_id, turn }.into_active_model();
    Entity::insert_many(turns.into_iter().map(row)).on_conflict(newer).exec_without_returning(tx.conn()).await?;
    Ok(())
}
