//! The audit trail: who made which administrative call, when, for which things, and how it ended.
//!
//! A record is written before the call ([`Trail::begin`]): without a record there is no call. How it ended is added after it
//! ([`Begun::end`]); a record without an end is of a call that is running, or of whose end nobody knows. Nothing else ever
//! changes a record, and after 400 days it is forgotten ([`forget_old`]).
//!
//! A record holds ids, the names of methods and reasons: never a text, a name or an address. [`Resources`] has no room for one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::{Db, DbErr, Sql};
use sea_orm::{EntityTrait, Order, QueryOrder, QuerySelect, Set, entity::prelude::*, sea_query::Query};
use tokio_util::sync::CancellationToken;

/// The table, for each service's migrations.
pub const RECORDS: Sql = Sql {
    name: "audit_001_records",
    text: "CREATE TABLE audit_records (
            id UUID NOT NULL,
            account_id UUID NOT NULL,
            at BIGINT NOT NULL,
            actor TEXT NOT NULL,
            method TEXT NOT NULL,
            resources TEXT NOT NULL,
            trace_id TEXT NOT NULL,
            outcome TEXT,
            CONSTRAINT audit_records_pk PRIMARY KEY (id)
        );
        CREATE INDEX audit_records_of_account ON audit_records (account_id, at);
        CREATE INDEX audit_records_age ON audit_records (at);
        {wall audit_records}",
};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_records")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub account_id: Uuid,
        pub at: i64,
        pub actor: String,
        pub method: String,
        pub resources: String,
        pub trace_id: String,
        pub outcome: Option<String>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{Column, Entity};

/// The things that a call is about: the contract's name of each id, and the id.
pub type Resources = BTreeMap<String, Uuid>;

/// Records are kept so long: a year, and a month to look back on it.
const KEEP: Duration = Duration::from_secs(400 * 24 * 3600);
const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// A transaction that forgets holds up no other.
const FORGET_AT_ONCE: u64 = 500;

/// A call to be recorded.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Who calls.
    pub caller: &'a Caller,
    /// What, as `package.Service/Method`.
    pub method: &'a str,
    /// For which things, as far as the request tells.
    pub resources: Resources,
    /// The call's trace; empty: it has none.
    pub trace_id: String,
}

/// Where records are written: beside what the calls change. Clones share it.
#[derive(Clone, Default)]
pub struct Trail(Arc<Vec<(&'static str, Db)>>);

impl Trail {
    /// Records the calls of each package's methods in its database; those of other packages in the first.
    pub fn new(databases: Vec<(&'static str, Db)>) -> Self {
        Self(Arc::new(databases))
    }

    /// Writes the record of a call that is about to be made.
    pub async fn begin(&self, call: Call<'_>) -> Result<Begun, DbErr> {
        let (account, resources) = (call.caller.account.0, call.resources.clone());
        let db = self.database(call.method)?.clone();
        let id = insert(&db, call, None).await?;
        Ok(Begun { db, account, id, resources })
    }

    /// Writes the record of a call that is not made.
    pub async fn refused(&self, call: Call<'_>, outcome: &str) -> Result<(), DbErr> {
        insert(self.database(call.method)?, call, Some(outcome)).await.map(drop)
    }

    fn database(&self, method: &str) -> Result<&Db, DbErr> {
        let serves = |package: &str| method.strip_prefix(package).is_some_and(|rest| rest.starts_with('.'));
        let own = self.0.iter().find(|(package, _)| serves(package));
        let (_, db) = own.or(self.0.first()).ok_or_else(|| DbErr::Custom(format!("no database records {method}")))?;
        Ok(db)
    }
}

async fn insert(db: &Db, call: Call<'_>, outcome: Option<&str>) -> Result<Uuid, DbErr> {
    let tx = db.begin().await?;
    let id = Uuid::now_v7();
    let row = entity::ActiveModel {
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

/// A call whose record is written and whose end is not.
#[must_use = "the end of the call is to be recorded"]
pub struct Begun {
    db: Db,
    account: Uuid,
    id: Uuid,
    resources: Resources,
}

impl Begun {
    /// Adds how the call ended, and the ids of what it made, which nobody knew before.
    pub async fn end(mut self, outcome: &str, made: Resources) -> Result<(), DbErr> {
        for (name, id) in made {
            self.resources.entry(name).or_insert(id);
        }
        let tx = self.db.begin().await?;
        Entity::update_many()
            .filter(Column::AccountId.eq(self.account))
            .filter(Column::Id.eq(self.id))
            .col_expr(Column::Outcome, Expr::value(outcome))
            .col_expr(Column::Resources, Expr::value(json(&self.resources)?))
            .exec(tx.conn())
            .await?;
        tx.commit().await
    }
}

fn json(resources: &Resources) -> Result<String, DbErr> {
    serde_json::to_string(resources).map_err(|error| DbErr::Type(error.to_string()))
}

/// A call as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// UUID, in the order of the calls.
    pub id: Uuid,
    /// When, by the database's clock.
    pub at: Time,
    /// Who, as `kind:id`.
    pub actor: String,
    /// What, as `package.Service/Method`.
    pub method: String,
    /// For which things.
    pub resources: Resources,
    /// Its trace; empty: it had none.
    pub trace_id: String,
    /// `OK`, or the gRPC code and the reason. None: it is running, or nobody knows.
    pub outcome: Option<String>,
}

/// The account's newest records of the time `since` now in one database, newest first, at most `limit`.
pub async fn list(db: &Db, account: Uuid, since: Duration, limit: u64) -> Result<Vec<Record>, DbErr> {
    let from = db.now().await?.minus(since);
    let rows = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::At.gte(from.0))
        .order_by_desc(Column::At)
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(db.read())
        .await?;
    rows.into_iter().map(read).collect()
}

fn read(row: entity::Model) -> Result<Record, DbErr> {
    let entity::Model { id, actor, method, trace_id, outcome, .. } = row;
    let resources = serde_json::from_str(&row.resources).map_err(|error| DbErr::Type(error.to_string()))?;
    Ok(Record { id, at: Time(row.at), actor, method, resources, trace_id, outcome })
}

/// Forgets old records, every hour, until the shutdown.
pub async fn forget_old(db: Db, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        if let Err(error) = forget(&db).await {
            tracing::warn!(%error, "old audit records were not forgotten; trying again in an hour");
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
    }
}

async fn forget(db: &Db) -> Result<(), DbErr> {
    let before = db.now().await?.minus(KEEP);
    loop {
        let oldest = Query::select()
            .column(Column::Id)
            .from(Entity)
            .and_where(Column::At.lt(before.0))
            .order_by(Column::At, Order::Asc)
            .limit(FORGET_AT_ONCE)
            .to_owned();
        let tx = db.begin().await?;
        let removed = Entity::delete_many().filter(Column::Id.in_subquery(oldest)).exec(tx.conn()).await?;
        tx.commit().await?;
        if removed.rows_affected < FORGET_AT_ONCE {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_auth::{AccountId, Actor, Kind};
    use frontdesk_clock::Clock;
    use frontdesk_db::{DatabaseUrl, DbSettings, migrate};
    use sea_orm_migration::{MigrationTrait, MigratorTrait};

    use super::*;

    struct Migrator;

    impl MigratorTrait for Migrator {
        fn migrations() -> Vec<Box<dyn MigrationTrait>> {
            vec![Box::new(RECORDS)]
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    async fn db(folder: &tempfile::TempDir, name: &str, clock: &Clock) -> Db {
        let url = DatabaseUrl(format!("sqlite://{}", folder.path().join(name).display()));
        let db = Db::connect(&DbSettings { url, max_connections: None }, clock).await.unwrap();
        migrate::<Migrator>(&db).await.unwrap();
        db
    }

    fn caller(account: u128) -> Caller {
        Caller {
            account: AccountId(Uuid::from_u128(account)),
            kind: Kind::Admin,
            actor: Actor { kind: Kind::Admin, id: "ada".into() },
            name: Some("CANARY".into()),
            email: Some("canary@example.com".into()),
            permissions: Default::default(),
            scope: None,
            ends: None,
        }
    }

    fn call<'a>(caller: &'a Caller, method: &'a str) -> Call<'a> {
        let resources = Resources::from([("thing_id".to_owned(), Uuid::from_u128(7))]);
        Call { caller, method, resources, trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".into() }
    }

    #[tokio::test]
    async fn a_call_is_recorded_before_it_is_made_and_once_more_when_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let (clock, caller) = (Clock::system(), caller(1));
        let db = db(&folder, "a", &clock).await;
        let trail = Trail::new(vec![("test.v1", db.clone())]);
        let begun = trail.begin(call(&caller, "test.v1.Things/Make")).await.unwrap();
        let running = list(&db, caller.account.0, HOUR, 10).await.unwrap();
        assert_eq!((running.len(), running[0].outcome.as_deref()), (1, None));
        let made = Resources::from([("thing_id".to_owned(), Uuid::nil()), ("made_id".to_owned(), Uuid::from_u128(8))]);
        begun.end("OK", made).await.unwrap();
        trail.refused(call(&caller, "test.v1.Things/Make"), "PERMISSION_DENIED NOT_PERMITTED").await.unwrap();

        let records = list(&db, caller.account.0, HOUR, 10).await.unwrap();
        let outcomes: Vec<Option<&str>> = records.iter().map(|record| record.outcome.as_deref()).collect();
        assert_eq!(outcomes, [Some("PERMISSION_DENIED NOT_PERMITTED"), Some("OK")], "newest first");
        let expected = [("made_id".to_owned(), Uuid::from_u128(8)), ("thing_id".to_owned(), Uuid::from_u128(7))];
        assert_eq!(records[1], Record { outcome: Some("OK".into()), resources: expected.into(), ..running[0].clone() });
        assert_eq!((records[1].actor.as_str(), records[1].trace_id.len()), ("admin:ada", 32));
        assert!(!format!("{records:?}").to_lowercase().contains("canary"));
        assert_eq!(list(&db, caller.account.0, HOUR, 1).await.unwrap(), records[..1]);
        assert!(list(&db, Uuid::from_u128(2), HOUR, 10).await.unwrap().is_empty(), "another account's");
    }

    #[tokio::test]
    async fn each_package_has_its_records_beside_what_its_calls_change() {
        let folder = tempfile::tempdir().unwrap();
        let (clock, caller) = (Clock::system(), caller(1));
        let (first, second) = (db(&folder, "a", &clock).await, db(&folder, "b", &clock).await);
        let trail = Trail::new(vec![("test.a.v1", first.clone()), ("test.b.v1", second.clone())]);
        for method in ["test.b.v1.Things/Make", "test.b.v11.Things/Make", "other.v1.Things/Make"] {
            trail.refused(call(&caller, method), "OK").await.unwrap();
        }
        let methods = |records: Vec<Record>| records.into_iter().map(|record| record.method).collect::<Vec<_>>();
        assert_eq!(methods(list(&second, caller.account.0, HOUR, 9).await.unwrap()), ["test.b.v1.Things/Make"]);
        assert_eq!(list(&first, caller.account.0, HOUR, 9).await.unwrap().len(), 2);
        assert!(Trail::default().begin(call(&caller, "test.b.v1.Things/Make")).await.is_err());
    }

    #[tokio::test]
    async fn records_are_kept_for_four_hundred_days() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::persisted(&folder.path().join("clock")).unwrap();
        let (caller, days) = (caller(1), |days: u64| Duration::from_secs(days * 24 * 3600));
        let db = db(&folder, "a", &clock).await;
        let old = (0..FORGET_AT_ONCE + 10).map(|_| entity::ActiveModel {
            id: Set(Uuid::now_v7()),
            account_id: Set(caller.account.0),
            at: Set(clock.now().0),
            actor: Set("admin:ada".into()),
            method: Set("test.v1.Things/Make".into()),
            resources: Set("{}".into()),
            trace_id: Set(String::new()),
            outcome: Set(None),
        });
        let tx = db.begin().await.unwrap();
        Entity::insert_many(old).exec_without_returning(tx.conn()).await.unwrap();
        tx.commit().await.unwrap();
        clock.advance(days(399)).unwrap();
        forget(&db).await.unwrap();
        assert_eq!(list(&db, caller.account.0, days(500), 1_000).await.unwrap().len() as u64, FORGET_AT_ONCE + 10);
        Trail::new(vec![("test.v1", db.clone())]).refused(call(&caller, "test.v1.Things/Make"), "OK").await.unwrap();
        clock.advance(days(2)).unwrap();
        forget(&db).await.unwrap();
        assert_eq!(list(&db, caller.account.0, days(500), 1_000).await.unwrap().len(), 1);
    }
}
