//! Writing the audit log.

use std::sync::Arc;

use frontdesk_auth::Caller;
use frontdesk_db::{AccountId, Db, DbErr};
use sea_orm::{EntityTrait, Set, entity::prelude::*};

use crate::{
    entity::{ActiveModel, Column, Entity},
    record::Resources,
    refusals::{RefusalKey, Refusals},
};

/// A call to be recorded.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The caller.
    pub caller: &'a Caller,
    /// The method, as `package.Service/Method`.
    pub method: &'a str,
    /// The things that the request names.
    pub resources: Resources,
    /// The call's trace; empty when it has none.
    pub trace_id: String,
}

/// Writes records into the databases that the calls change. Clones share it.
#[derive(Clone, Default)]
pub struct AuditLog(Arc<Shared>);

#[derive(Default)]
struct Shared {
    databases: Vec<(&'static str, Db)>,
    refusals: Refusals,
}

impl AuditLog {
    /// The full name of each gRPC service with the database that records its calls. Calls of others are recorded in the first one.
    pub fn new(databases: Vec<(&'static str, Db)>) -> Self {
        Self(Arc::new(Shared { databases, refusals: Refusals::default() }))
    }

    /// Writes the record of a call that is about to be made.
    pub async fn begin(&self, call: Call<'_>) -> Result<PendingRecord, DbErr> {
        let (account, resources) = (call.caller.account, call.resources.clone());
        let db = self.database(call.method)?.clone();
        let id = insert(&db, call, None).await?;
        Ok(PendingRecord { db, account, id, resources })
    }

    /// Records a call that is refused before it is made. Of the same refusals of a minute only the first has a record, which
    /// [`AuditLog::write_counts`] gives their number.
    pub async fn record_refused(&self, call: Call<'_>, outcome: &str) -> Result<(), DbErr> {
        let db = self.database(call.method)?.clone();
        let key = RefusalKey {
            account: call.caller.account,
            actor: call.caller.actor.clone(),
            method: call.method.to_owned(),
            outcome: outcome.to_owned(),
        };
        if !self.0.refusals.count(&key) {
            return Ok(());
        }
        let written = insert(&db, call, Some(outcome)).await;
        self.0.refusals.recorded(&key, written.as_ref().ok().map(|id| (db, *id)));
        written.map(drop)
    }

    /// Writes the numbers of refused calls into their records.
    pub async fn write_counts(&self) -> Result<(), DbErr> {
        self.0.refusals.write_counts().await
    }

    #[cfg(test)]
    pub(crate) fn let_a_minute_pass(&self) {
        self.0.refusals.let_a_minute_pass();
    }

    fn database(&self, method: &str) -> Result<&Db, DbErr> {
        let service = method.split('/').next().unwrap_or_default();
        let own = self.0.databases.iter().find(|(name, _)| *name == service);
        let (_, db) =
            own.or(self.0.databases.first()).ok_or_else(|| DbErr::Custom(format!("no database records {method}")))?;
        Ok(db)
    }
}

/// The record of a call that is running.
#[must_use = "the outcome of the call must be recorded"]
pub struct PendingRecord {
    db: Db,
    account: AccountId,
    id: Uuid,
    resources: Resources,
}

impl PendingRecord {
    /// Adds the outcome of the call, and the ids of the things that it made.
    pub async fn finish(mut self, outcome: &str, made: Resources) -> Result<(), DbErr> {
        for (name, id) in made {
            self.resources.entry(name).or_insert(id);
        }
        let tx = self.db.begin().await?;
        Entity::update_many()
            .filter(Column::AccountId.eq(self.account.0))
            .filter(Column::Id.eq(self.id))
            .col_expr(Column::Outcome, Expr::value(outcome))
            .col_expr(Column::Resources, Expr::value(json(&self.resources)?))
            .exec(tx.conn())
            .await?;
        tx.commit().await
    }
}

async fn insert(db: &Db, call: Call<'_>, outcome: Option<&str>) -> Result<Uuid, DbErr> {
    let tx = db.begin().await?;
    let id = tx.new_id();
    let row = ActiveModel {
        id: Set(id),
        account_id: Set(call.caller.account.0),
        at: Set(tx.now().await?.0),
        actor: Set(call.caller.actor.to_string()),
        method: Set(call.method.to_owned()),
        resources: Set(json(&call.resources)?),
        trace_id: Set(call.trace_id),
        outcome: Set(outcome.map(str::to_owned)),
    };
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    tx.commit().await?;
    Ok(id)
}

fn json(resources: &Resources) -> Result<String, DbErr> {
    serde_json::to_string(resources).map_err(|error| DbErr::Type(error.to_string()))
}
