//! The roster.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx, violated_unique_index};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{
    agent_statuses,
    entity::agent::{Column, Entity, Model},
    team_members,
};
use crate::domain::{Agent, Availability};

/// Position in the roster: the name and id of the last agent of a page.
pub(crate) type Cursor = (String, Uuid);

/// Which agents a list has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AgentFilter {
    pub(crate) show_deactivated: bool,
    /// Only members of this team.
    pub(crate) team: Option<Uuid>,
    /// Only agents with this availability, where the available ones sent a heartbeat after this time.
    pub(crate) availability: Option<(Availability, Time)>,
}

/// Why an agent was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The account has an agent with the id.
    IdTaken,
    /// Another agent of the account has the handle.
    HandleTaken,
    /// Another agent of the account has the address.
    EmailTaken,
    /// The database failed.
    Db(DbErr),
}

impl From<DbErr> for WriteError {
    fn from(error: DbErr) -> Self {
        match violated_unique_index(&error).as_deref() {
            Some("agents_handle" | "agents.account_id, agents.handle") => Self::HandleTaken,
            Some("agents_email") => Self::EmailTaken,
            _ => Self::Db(error),
        }
    }
}

/// Inserts an agent. The id is unique within the account: a person may be an agent of several accounts.
pub(crate) async fn insert(tx: &Tx, agent: &Agent) -> Result<(), WriteError> {
    // Both databases check the target of ON CONFLICT before their other indexes: of an agent that exists already, the id is what
    // is reported.
    let inserted = Entity::insert(Model::from(agent.clone()).into_active_model())
        .on_conflict(OnConflict::columns([Column::AccountId, Column::Id]).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    if inserted == 1 { Ok(()) } else { Err(WriteError::IdTaken) }
}

/// Updates an agent that was found with [`find_for_update`].
pub(crate) async fn save(tx: &Tx, agent: &Agent) -> Result<(), WriteError> {
    Model::from(agent.clone()).into_active_model().reset_all().update(tx.conn()).await?;
    Ok(())
}

/// Returns the agent, deactivated or not.
pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Agent>, DbErr> {
    let row = Entity::find_by_id((account.0, id)).one(conn).await?;
    Ok(row.map(Agent::from))
}

/// Returns the agent, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Agent>, DbErr> {
    let row = Entity::find_by_id((account.0, id)).lock_exclusive().one(tx.conn()).await?;
    Ok(row.map(Agent::from))
}

/// Returns agents by name, one more than `size`, so that the caller knows whether there is a next page.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    filter: AgentFilter,
    after: Option<&Cursor>,
    size: u64,
) -> Result<Vec<Agent>, DbErr> {
    let mut query = Entity::find().filter(Column::AccountId.eq(account));
    if !filter.show_deactivated {
        query = query.filter(Column::Active.eq(true));
    }
    if let Some(team) = filter.team {
        query = query.filter(Column::Id.in_subquery(team_members::agents_of(account, team)));
    }
    if let Some((availability, heard_after)) = filter.availability {
        let available = agent_statuses::available(account, heard_after);
        query = query.filter(match availability {
            Availability::Available => Column::Id.in_subquery(available),
            Availability::Away => Column::Id.not_in_subquery(available),
        });
    }
    if let Some((name, id)) = after {
        // As a row: PostgreSQL starts the scan of the index there, which it does not for `>` or `=` and `>`.
        let position = Expr::tuple([Expr::col((Entity, Column::Name)), Expr::col((Entity, Column::Id))]);
        query = query.filter(position.gt(Expr::tuple([Expr::value(name.as_str()), Expr::value(*id)])));
    }
    let rows = query.order_by_asc(Column::Name).order_by_asc(Column::Id).limit(size + 1).all(conn).await?;
    Ok(rows.into_iter().map(Agent::from).collect())
}

/// Returns every agent of the account, deactivated ones included.
pub(crate) async fn list_all<C: ConnectionTrait>(conn: &C, account: AccountId) -> Result<Vec<Agent>, DbErr> {
    let rows = Entity::find().filter(Column::AccountId.eq(account)).all(conn).await?;
    Ok(rows.into_iter().map(Agent::from).collect())
}

/// Returns those of these agents that the account has, deactivated ones included.
pub(crate) async fn find_many<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    ids: BTreeSet<Uuid>,
) -> Result<BTreeMap<Uuid, Agent>, DbErr> {
    let rows = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Id.is_in(ids)).all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.id, Agent::from(row))).collect())
}

/// Returns the names of the agents that the account has, deactivated ones included.
pub(crate) async fn list_names<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    ids: BTreeSet<Uuid>,
) -> Result<BTreeMap<Uuid, String>, DbErr> {
    let rows = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Id.is_in(ids)).all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}
