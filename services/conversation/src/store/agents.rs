//! The local copy of agents.

use std::collections::{BTreeSet, HashMap};

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    DbErr, EntityTrait, IntoActiveModel,
    entity::prelude::*,
    sea_query::{ExprTrait, OnConflict},
};
use uuid::Uuid;

use super::entity::agent::{Column, Entity, Model};
use crate::domain::Agent;

pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Agent>, DbErr> {
    let agent = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Id.eq(id)).one(conn).await?;
    Ok(agent.map(Agent::from))
}

/// Those of these agents of whom there is a copy.
pub(crate) async fn find_many<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    ids: &BTreeSet<Uuid>,
) -> Result<HashMap<Uuid, Agent>, DbErr> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let agents = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Id.is_in(ids.iter().copied()));
    Ok(agents.all(conn).await?.into_iter().map(|row| (row.id, row.into())).collect())
}

/// Writes the agent, unless the copy is newer. A version has another state again after the roster was restored to an older point
/// in time: the later write holds.
pub(crate) async fn save(tx: &Tx, agent: Agent) -> Result<(), DbErr> {
    let row = Model::from(agent);
    let newer = OnConflict::columns([Column::AccountId, Column::Id])
        .update_columns([Column::Name, Column::Active, Column::Version])
        .action_and_where(Expr::col((Entity, Column::Version)).lte(row.version))
        .to_owned();
    Entity::insert(row.into_active_model().reset_all()).on_conflict(newer).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Inserts the agent, unless there is a copy. It neither changes nor locks a copy that is there.
pub(crate) async fn insert_if_absent(tx: &Tx, agent: Agent) -> Result<(), DbErr> {
    let absent = OnConflict::columns([Column::AccountId, Column::Id]).do_nothing().to_owned();
    let row = Model::from(agent).into_active_model().reset_all();
    Entity::insert(row).on_conflict(absent).exec_without_returning(tx.conn()).await?;
    Ok(())
}
