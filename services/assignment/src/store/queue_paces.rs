//! How fast the queues of an account moved lately.

use std::collections::BTreeMap;

use frontdesk_db::{AccountId, Tx};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, sea_query::OnConflict};
use uuid::Uuid;

use super::entity::queue_pace::{Column, Entity, Model};
use crate::domain::{Queue, QueuePace};

/// Returns the pace of each queue that has one.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
) -> Result<BTreeMap<Queue, QueuePace>, DbErr> {
    let rows = Entity::find().filter(Column::AccountId.eq(account)).all(conn).await?;
    let id = |id: Uuid| Some(id).filter(|id| !id.is_nil());
    let queue = |row: &Model| Queue { policy: id(row.policy_id), team: id(row.team_id) };
    Ok(rows.into_iter().map(|row| (queue(&row), QueuePace::from(row))).collect())
}

/// Stores the pace of a queue. The account is locked.
pub(crate) async fn save(tx: &Tx, account: AccountId, queue: Queue, pace: QueuePace) -> Result<(), DbErr> {
    let newer = OnConflict::columns([Column::AccountId, Column::PolicyId, Column::TeamId])
        .update_columns([Column::Samples, Column::MeanUs, Column::LastAt])
        .to_owned();
    let row = Model {
        account_id: account.0,
        policy_id: queue.policy.unwrap_or_default(),
        team_id: queue.team.unwrap_or_default(),
        samples: i32::try_from(pace.samples).unwrap_or(i32::MAX),
        mean_us: i64::try_from(pace.mean.as_micros()).unwrap_or(i64::MAX),
        last_at: pace.last_at,
    };
    Entity::insert(row.into_active_model()).on_conflict(newer).exec_without_returning(tx.conn()).await?;
    Ok(())
}
