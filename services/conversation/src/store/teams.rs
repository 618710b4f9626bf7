//! The local copy of teams and their members.

use std::collections::BTreeSet;

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    DbErr, EntityTrait, IntoActiveModel, QuerySelect, Select,
    entity::prelude::*,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::entity::{
    team::{Column, Entity, Model},
    team_member,
};
use crate::domain::{Membership, Team};

/// How often the team's members have changed. None: there is no copy of the team.
pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    team: Uuid,
) -> Result<Option<Membership>, DbErr> {
    let copy = by_id(account, team).one(conn).await?;
    Ok(copy.map(|copy| Membership { team, number: copy.membership }))
}

/// The members of the copy.
pub(crate) async fn list_members<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    team: Uuid,
) -> Result<BTreeSet<Uuid>, DbErr> {
    let members = team_member::Entity::find()
        .filter(team_member::Column::AccountId.eq(account))
        .filter(team_member::Column::TeamId.eq(team));
    Ok(members.all(conn).await?.into_iter().map(|row| row.agent_id).collect())
}

/// Writes the team, unless the copy is newer. A version has another state again after the roster was restored to an older point in
/// time: the later write holds.
pub(crate) async fn save(tx: &Tx, team: &Team) -> Result<(), DbErr> {
    let absent = OnConflict::columns([Column::AccountId, Column::Id]).do_nothing().to_owned();
    let new = Model { account_id: team.account, id: team.id, version: 0, membership: 0 };
    let row = new.into_active_model().reset_all();
    Entity::insert(row).on_conflict(absent).exec_without_returning(tx.conn()).await?;
    let Some(copy) = by_id(team.account, team.id).lock_exclusive().one(tx.conn()).await? else { return Ok(()) };
    if copy.version > team.version {
        return Ok(());
    }
    let before = list_members(tx.conn(), team.account, team.id).await?;
    let membership = copy.membership + i64::from(before != team.members);
    remove(tx, team, before.difference(&team.members).copied().collect()).await?;
    add(tx, team, team.members.difference(&before).copied().collect()).await?;
    Entity::update_many()
        .filter(Column::AccountId.eq(team.account))
        .filter(Column::Id.eq(team.id))
        .col_expr(Column::Version, Expr::value(team.version))
        .col_expr(Column::Membership, Expr::value(membership))
        .exec(tx.conn())
        .await?;
    Ok(())
}

async fn remove(tx: &Tx, team: &Team, agents: BTreeSet<Uuid>) -> Result<(), DbErr> {
    if !agents.is_empty() {
        team_member::Entity::delete_many()
            .filter(team_member::Column::AccountId.eq(team.account))
            .filter(team_member::Column::TeamId.eq(team.id))
            .filter(team_member::Column::AgentId.is_in(agents))
            .exec(tx.conn())
            .await?;
    }
    Ok(())
}

async fn add(tx: &Tx, team: &Team, agents: BTreeSet<Uuid>) -> Result<(), DbErr> {
    if !agents.is_empty() {
        let row = |agent_id| team_member::Model { account_id: team.account, team_id: team.id, agent_id };
        let rows = agents.into_iter().map(|agent| row(agent).into_active_model().reset_all());
        team_member::Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    }
    Ok(())
}

fn by_id(account: AccountId, team: Uuid) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Id.eq(team))
}
