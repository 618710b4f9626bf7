//! Reading the audit log.

use std::{collections::BTreeMap, time::Duration};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Db, DbErr};
use sea_orm::{QueryOrder, QuerySelect, entity::prelude::*};

use crate::entity::{Column, Entity, Model};

/// The things that a call is about: the name of each id in the contract, and the id.
pub type Resources = BTreeMap<String, Uuid>;

/// A recorded call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// UUID, in the order of the calls.
    pub id: Uuid,
    /// When the call was made, by the database's clock.
    pub at: Time,
    /// The actor, as `kind:id`.
    pub actor: String,
    /// The method, as `package.Service/Method`.
    pub method: String,
    /// The things that it is about.
    pub resources: Resources,
    /// Its trace; empty when it had none.
    pub trace_id: String,
    /// `OK`, or the gRPC code and the reason. None: the call is running, or its outcome is unknown.
    pub outcome: Option<String>,
}

/// The account's records of the last `period` in one database, newest first, at most `limit`.
pub async fn list(db: &Db, account: AccountId, period: Duration, limit: u64) -> Result<Vec<Record>, DbErr> {
    let from = db.now().await?.minus(period);
    let rows = Entity::find()
        .filter(Column::AccountId.eq(account.0))
        .filter(Column::At.gte(from.0))
        .order_by_desc(Column::At)
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(db.read())
        .await?;
    rows.into_iter().map(from_row).collect()
}

fn from_row(row: Model) -> Result<Record, DbErr> {
    let Model { id, actor, method, trace_id, outcome, .. } = row;
    let resources = serde_json::from_str(&row.resources).map_err(|error| DbErr::Type(error.to_string()))?;
    Ok(Record { id, at: Time(row.at), actor, method, resources, trace_id, outcome })
}
