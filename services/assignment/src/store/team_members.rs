//! The members of teams. They change while the row of their team is locked.

use std::collections::BTreeSet;

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, QueryTrait,
    sea_query::SelectStatement,
};
use uuid::Uuid;

use super::entity::team_member::{Column, Entity, Model};

/// Returns the members of a team.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    team: Uuid,
) -> Result<BTreeSet<Uuid>, DbErr> {
    let rows = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::TeamId.eq(team)).all(conn).await?;
    Ok(rows.into_iter().map(|row| row.agent_id).collect())
}

/// Adds agents who are no members.
pub(crate) async fn insert(tx: &Tx, account: AccountId, team: Uuid, agents: &BTreeSet<Uuid>) -> Result<(), DbErr> {
    if agents.is_empty() {
        return Ok(());
    }
    let row = |agent: &Uuid| Model { account_id: account.0, team_id: team, agent_id: *agent }.into_active_model();
    Entity::insert_many(agents.iter().map(row)).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Removes members.
pub(crate) async fn delete(tx: &Tx, account: AccountId, team: Uuid, agents: &BTreeSet<Uuid>) -> Result<(), DbErr> {
    Entity::delete_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::TeamId.eq(team))
        .filter(Column::AgentId.is_in(agents.iter().copied()))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Selects the ids of a team's members.
pub(super) fn agents_of(account: AccountId, team: Uuid) -> SelectStatement {
    let members = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::TeamId.eq(team));
    members.select_only().column(Column::AgentId).into_query()
}

/// Selects the ids of the teams of which an agent is a member.
pub(super) fn teams_of(account: AccountId, agent: Uuid) -> SelectStatement {
    let members = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::AgentId.eq(agent));
    members.select_only().column(Column::TeamId).into_query()
}
