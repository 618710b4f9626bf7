//! Whether an account is in use. Each service has it in its own database, so that its calls, consumers and workers ask no other one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sea_orm::{
    QuerySelect, QueryTrait, Set,
    entity::prelude::*,
    sea_query::{OnConflict, SelectStatement},
};

use crate::{AccountId, Db, Sql, Tx};

/// Age at which the known states are read again, beside the calls that use them.
const READ_AFTER: Duration = Duration::from_secs(1);
/// Maximum age of the known states that a call uses.
const MAX_AGE: Duration = Duration::from_secs(5);
/// How long after an account has ended its rows are erased. What another replica began by the state before has ended then: that state is at
/// most [`MAX_AGE`] old, a call lasts less than the rest, and so does the handling of an event.
const ERASED_AFTER: Duration = Duration::from_secs(60);
/// How far before the newest known change a read begins, since changes commit in another order than their times (microseconds).
const OVERLAP: i64 = 3_600_000_000;

/// The table, for each service's migrations.
pub const ACCOUNT_STATES: Sql = Sql {
    name: "accounts_001_states",
    text: "-- Accounts whose end began. An older binary still runs, and serves them: upgrade all replicas before the first one ends.
        CREATE TABLE account_states (
            account_id UUID NOT NULL,
            state TEXT NOT NULL,
            job_id UUID NOT NULL,
            version BIGINT NOT NULL,
            confirmed_version BIGINT NOT NULL,
            events BIGINT NOT NULL,
            changed_at BIGINT NOT NULL,
            CONSTRAINT account_states_pk PRIMARY KEY (account_id)
        );
        CREATE INDEX account_states_changed ON account_states (changed_at);
        {row_level_security account_states}",
};

mod entity {
    use sea_orm::entity::prelude::*;

    use crate::AccountId;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "account_states")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: AccountId,
        pub state: String,
        pub job_id: Uuid,
        pub version: i64,
        pub confirmed_version: i64,
        pub events: i64,
        pub changed_at: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{ActiveModel, Column, Entity, Model};

/// Whether an account is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountState {
    /// It is: every account whose end did not begin, or was cancelled.
    #[default]
    Active,
    /// Its end began: its callers are refused, and workers leave it alone.
    Suspended,
    /// It has ended: what is stored of it is erased.
    Ended,
}

impl AccountState {
    /// As rows spell it: add, never rename.
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Ended => "ENDED",
        }
    }

    fn parse(text: &str) -> Result<Self, DbErr> {
        let all = [Self::Active, Self::Suspended, Self::Ended];
        let found = all.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| DbErr::Type(format!("{text:?} is no state of an account")))
    }
}

/// What a service stores of the end of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// The account.
    pub account: AccountId,
    /// Its state.
    pub state: AccountState,
    /// The job that ends it.
    pub job: Uuid,
    /// Version of the change that made the state; of two changes the later one is newer.
    pub version: i64,
    /// Version of the newest change that this service confirmed.
    pub confirmed_version: i64,
    /// Number of this service's own events about the account.
    pub events: i64,
}

impl AccountRecord {
    /// Whether this service still has rows to erase.
    pub fn is_to_be_erased(&self) -> bool {
        self.state == AccountState::Ended && self.confirmed_version < self.version
    }
}

impl TryFrom<Model> for AccountRecord {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        Ok(Self {
            account: row.account_id,
            state: AccountState::parse(&row.state)?,
            job: row.job_id,
            version: row.version,
            confirmed_version: row.confirmed_version,
            events: row.events,
        })
    }
}

/// The record of the account, locked until the transaction ends. It is inserted where there is none, so that there is one to lock.
pub async fn lock_account(tx: &Tx, account: AccountId) -> Result<AccountRecord, DbErr> {
    let record = AccountRecord {
        account,
        state: AccountState::Active,
        job: Uuid::nil(),
        version: 0,
        confirmed_version: 0,
        events: 0,
    };
    let row = active_model(&record, tx.now().await?.0);
    let known = OnConflict::column(Column::AccountId).do_nothing().to_owned();
    Entity::insert(row).on_conflict(known).exec_without_returning(tx.conn()).await?;
    let found = find_account_for_update(tx, account).await?;
    found.ok_or_else(|| DbErr::RecordNotFound("account_states".into()))
}

/// The record of the account, locked until the transaction ends. None: its end never began.
pub async fn find_account_for_update(tx: &Tx, account: AccountId) -> Result<Option<AccountRecord>, DbErr> {
    let row = Entity::find().filter(Column::AccountId.eq(account)).lock_exclusive().one(tx.conn()).await?;
    row.map(AccountRecord::try_from).transpose()
}

/// Saves a record that [`lock_account`] or [`find_account_for_update`] locked.
pub async fn save_account(tx: &Tx, record: &AccountRecord) -> Result<(), DbErr> {
    Entity::update_many()
        .set(active_model(record, tx.now().await?.0))
        .filter(Column::AccountId.eq(record.account))
        .exec(tx.conn())
        .await
        .map(drop)
}

fn active_model(record: &AccountRecord, now: i64) -> ActiveModel {
    ActiveModel {
        account_id: Set(record.account),
        state: Set(record.state.as_str().to_owned()),
        job_id: Set(record.job),
        version: Set(record.version),
        confirmed_version: Set(record.confirmed_version),
        events: Set(record.events),
        changed_at: Set(now),
    }
}

/// Accounts of which this service has rows to erase, a minute after they have ended: nothing writes any more.
pub async fn accounts_to_erase(db: &Db) -> Result<Vec<AccountId>, DbErr> {
    let ended_before = db.now().await?.minus(ERASED_AFTER);
    let ended = Entity::find().filter(Column::State.eq(AccountState::Ended.as_str()));
    let rows = ended.filter(Column::ChangedAt.lte(ended_before.0)).all(db.read()).await?;
    let records = rows.into_iter().map(AccountRecord::try_from).collect::<Result<Vec<_>, _>>()?;
    Ok(records.into_iter().filter(AccountRecord::is_to_be_erased).map(|record| record.account).collect())
}

/// A subquery: the accounts that workers leave alone, because they are suspended or have ended.
pub fn accounts_not_in_use() -> SelectStatement {
    let states = Entity::find().filter(Column::State.ne(AccountState::Active.as_str()));
    states.select_only().column(Column::AccountId).into_query()
}

/// The states that were read last, of the accounts that are not in use.
#[derive(Default)]
pub(crate) struct AccountStates {
    known: Mutex<Known>,
    /// Locked while they are read. When the last attempt ended, and its error, if it failed.
    reading: Arc<tokio::sync::Mutex<Option<(Instant, DbErr)>>>,
}

#[derive(Default)]
struct Known {
    states: HashMap<AccountId, AccountState>,
    /// Time of the newest change (microseconds).
    newest: i64,
    /// None: they are to be read.
    read_at: Option<Instant>,
    /// Number of times that they were to be read anew.
    forgotten: u64,
}

/// A read that has begun.
struct Reading {
    at: Instant,
    /// As in [`Known`] at that time.
    newest: i64,
    forgotten: u64,
}

impl AccountStates {
    pub(crate) async fn state(&self, db: &Db, account: AccountId) -> Result<AccountState, DbErr> {
        match self.age() {
            Some(age) if age < READ_AFTER => {}
            // Beside the call, which waits for no connection of a busy database.
            Some(age) if age < MAX_AGE => {
                if let Ok(mut failed) = self.reading.clone().try_lock_owned() {
                    let db = db.clone();
                    tokio::spawn(async move {
                        if let Err(error) = db.accounts.try_read(&db, &mut failed).await {
                            tracing::warn!(%error, "the states of accounts cannot be read; retrying");
                        }
                    });
                }
            }
            _ => self.read_once(db).await?,
        }
        Ok(self.known().states.get(&account).copied().unwrap_or_default())
    }

    pub(crate) fn forget(&self) {
        let mut known = self.known();
        known.read_at = None;
        known.forgotten += 1;
    }

    /// Reads the states unless another call did meanwhile: a burst of calls takes one connection. The calls that wait for an attempt share its
    /// error: when the database is away, none waits for several attempts.
    async fn read_once(&self, db: &Db) -> Result<(), DbErr> {
        let asked_at = Instant::now();
        let mut failed = self.reading.clone().lock_owned().await;
        if self.age().is_some_and(|age| age < MAX_AGE) {
            return Ok(());
        }
        if let Some((at, error)) = &*failed
            && *at >= asked_at
        {
            return Err(error.clone());
        }
        // In a task of its own: a call that is not waited for any more must not end the attempt, which others need.
        let db = db.clone();
        let reading = tokio::spawn(async move { db.accounts.try_read(&db, &mut failed).await });
        reading.await.unwrap_or_else(|error| Err(DbErr::Custom(format!("reading the states of accounts: {error}"))))
    }

    async fn try_read(&self, db: &Db, failed: &mut Option<(Instant, DbErr)>) -> Result<(), DbErr> {
        let read = self.read(db).await;
        *failed = read.as_ref().err().map(|error| (Instant::now(), error.clone()));
        read
    }

    async fn read(&self, db: &Db) -> Result<(), DbErr> {
        let reading = self.begin();
        let changed = Entity::find().filter(Column::ChangedAt.gte(reading.newest - OVERLAP)).all(db.read()).await?;
        self.end(&reading, changed)
    }

    fn begin(&self) -> Reading {
        let known = self.known();
        Reading { at: Instant::now(), newest: known.newest, forgotten: known.forgotten }
    }

    fn end(&self, reading: &Reading, changed: Vec<Model>) -> Result<(), DbErr> {
        let mut known = self.known();
        for row in changed {
            known.newest = known.newest.max(row.changed_at);
            match AccountState::parse(&row.state)? {
                AccountState::Active => known.states.remove(&row.account_id),
                state => known.states.insert(row.account_id, state),
            };
        }
        // What changed meanwhile may not be among the rows.
        if known.forgotten == reading.forgotten {
            known.read_at = Some(reading.at);
        }
        Ok(())
    }

    fn age(&self) -> Option<Duration> {
        self.known().read_at.map(|read_at| read_at.elapsed())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x2_states_that_changed_while_they_were_read_are_read_again() {
        let states = AccountStates::default();
        let reading = states.begin();
        states.forget();
        states.end(&reading, Vec::new()).unwrap();
        assert!(states.age().is_none());
        states.end(&states.begin(), Vec::new()).unwrap();
        assert!(states.age().is_some());
    }
}
