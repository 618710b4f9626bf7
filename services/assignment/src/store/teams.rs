//! Teams. Their members are in [`team_members`](super::team_members).

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_db::{AccountId, Tx, violated_unique_index};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

use super::{
    entity::team::{Column, Entity, Model},
    team_members,
};
use crate::domain::Team;

/// Position in the list of teams: the name and id of the last team of a page.
pub(crate) type Cursor = (String, Uuid);

/// Which teams a list has.
#[derive(Clone, Debug, Default)]
pub(crate) struct TeamFilter {
    pub(crate) show_deleted: bool,
    /// Only teams of which this agent is a member.
    pub(crate) agent: Option<Uuid>,
    /// Only the team with this external id. Empty: all teams.
    pub(crate) external_id: String,
}

/// Why a team was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// Another team of the account, which is not deleted, has the name.
    NameTaken,
    /// Another team of the account has the external id.
    ExternalIdTaken,
    /// The database failed.
    Db(DbErr),
}

impl From<DbErr> for WriteError {
    fn from(error: DbErr) -> Self {
        match violated_unique_index(&error).as_deref() {
            Some("teams_name" | "teams.account_id, teams.name") => Self::NameTaken,
            Some("teams_external_id" | "teams.account_id, teams.external_id") => Self::ExternalIdTaken,
            _ => Self::Db(error),
        }
    }
}

/// Inserts a team.
pub(crate) async fn insert(tx: &Tx, team: &Team) -> Result<(), WriteError> {
    Entity::insert(Model::from(team.clone()).into_active_model()).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Updates a team that was found with [`find_for_update`].
pub(crate) async fn save(tx: &Tx, team: &Team) -> Result<(), WriteError> {
    Model::from(team.clone()).into_active_model().reset_all().update(tx.conn()).await?;
    Ok(())
}

/// Returns the team, deleted or not.
pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Team>, DbErr> {
    let row = Entity::find_by_id((account.0, id)).one(conn).await?;
    Ok(row.map(Team::from))
}

/// Returns those of these teams that the account has, deleted ones included.
pub(crate) async fn find_many<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    ids: BTreeSet<Uuid>,
) -> Result<BTreeMap<Uuid, Team>, DbErr> {
    let rows = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Id.is_in(ids)).all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.id, Team::from(row))).collect())
}

/// Returns the team, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Team>, DbErr> {
    let row = Entity::find_by_id((account.0, id)).lock_exclusive().one(tx.conn()).await?;
    Ok(row.map(Team::from))
}

/// Returns teams by name, one more than `size`, so that the caller knows whether there is a next page.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    filter: &TeamFilter,
    after: Option<&Cursor>,
    size: u64,
) -> Result<Vec<Team>, DbErr> {
    let mut query = Entity::find().filter(Column::AccountId.eq(account));
    if !filter.show_deleted {
        query = query.filter(Column::DeletedAt.is_null());
    }
    if let Some(agent) = filter.agent {
        query = query.filter(Column::Id.in_subquery(team_members::teams_of(account, agent)));
    }
    if !filter.external_id.is_empty() {
        query = query.filter(Column::ExternalId.eq(filter.external_id.as_str()));
    }
    if let Some((name, id)) = after {
        // As a row: PostgreSQL starts the scan of the index there, which it does not for `>` or `=` and `>`.
        let position = Expr::tuple([Expr::col((Entity, Column::Name)), Expr::col((Entity, Column::Id))]);
        query = query.filter(position.gt(Expr::tuple([Expr::value(name.as_str()), Expr::value(*id)])));
    }
    let rows = query.order_by_asc(Column::Name).order_by_asc(Column::Id).limit(size + 1).all(conn).await?;
    Ok(rows.into_iter().map(Team::from).collect())
}
