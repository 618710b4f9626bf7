//! Table `session_claims`: the due sessions that replicas ask about, over all accounts. A row for each batch: a change of each session would
//! write its row and seven index entries again.

use std::collections::HashSet;

use frontdesk_clock::Time;
use frontdesk_db::Tx;
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::{
    columns,
    entity::session_claim::{Column, Entity, Model},
};
use crate::domain::DueSession;

/// Inserts the claim of these sessions, which are locked.
pub(crate) async fn insert(tx: &Tx, id: Uuid, due: &[DueSession], ends_at: Time) -> Result<(), DbErr> {
    let sessions: Vec<Uuid> = due.iter().map(|due| due.session).collect();
    let claim = Model { id, session_ids: columns::json(&sessions)?, ends_at };
    Entity::insert(claim.into_active_model()).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Returns the sessions that are claimed now, by claims that end at `latest` at the latest ([`delete_void`]).
pub(crate) async fn list_sessions(tx: &Tx, now: Time, latest: Time) -> Result<HashSet<Uuid>, DbErr> {
    let claims = Entity::find().filter(Column::EndsAt.gt(now)).filter(Column::EndsAt.lte(latest));
    let lists = claims.select_only().column(Column::SessionIds).into_tuple::<String>().all(tx.conn()).await?;
    let mut sessions = HashSet::new();
    for list in lists {
        sessions.extend(columns::from_json::<Vec<Uuid>>(&list)?);
    }
    Ok(sessions)
}

/// Ends the claim.
pub(crate) async fn delete(tx: &Tx, id: Uuid) -> Result<(), DbErr> {
    Entity::delete_by_id(id).exec(tx.conn()).await?;
    Ok(())
}

/// Deletes the claims that ended before `over`, of replicas that crashed, and those that end after `latest`, from before the database's clock
/// was set back.
pub(crate) async fn delete_void(tx: &Tx, over: Time, latest: Time) -> Result<(), DbErr> {
    let void = Condition::any().add(Column::EndsAt.lt(over)).add(Column::EndsAt.gt(latest));
    Entity::delete_many().filter(void).exec(tx.conn()).await?;
    Ok(())
}
