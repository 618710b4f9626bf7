//! The end of an account in one service, the same for all: it takes over the account's state from the service that decides it, confirms
//! it, and erases the account's rows when the account has ended. Start reading at [`AccountStates`], then [`erase_ended_accounts`].

use std::{sync::Arc, time::Duration};

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_db::{
    AccountId, AccountRecord, AccountState, AccountTable, Db, DbErr, Tx, accounts_to_erase, erase_account_rows,
    find_account_for_update, lock_account, save_account,
};
use frontdesk_outbox::{Aggregate, append};
use frontdesk_proto::event::v1::{self as pb, AccountErased, AccountStateChanged, AccountStateConfirmed, Event};
use prost::Name;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::AnyService;

/// Interval between two looks for accounts whose rows are to be erased, and pause after an erasure that failed.
const INTERVAL: Duration = Duration::from_secs(1);

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Consumes `AccountStateChanged`.
pub struct AccountStates {
    /// Name of the consumer.
    pub name: &'static str,
    /// The service that decides the states.
    pub source: &'static str,
    /// This service.
    pub service: &'static str,
    /// Its database.
    pub db: Db,
}

#[async_trait::async_trait]
impl Consumer for AccountStates {
    fn name(&self) -> &'static str {
        self.name
    }

    fn source(&self) -> &'static str {
        self.source
    }

    fn types(&self) -> Vec<String> {
        vec![AccountStateChanged::full_name()]
    }

    fn is_for_ended_accounts(&self) -> bool {
        true
    }

    async fn handle(&self, event: &Event) -> Outcome {
        match read(event) {
            Ok(change) => self.apply(&change).await.into(),
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }
}

/// A change of the state of an account.
struct Change {
    account: AccountId,
    job: Uuid,
    state: AccountState,
    version: i64,
}

impl AccountStates {
    /// Of two changes the one with the later version is newer, in whatever order they come.
    async fn apply(&self, change: &Change) -> Result<(), DbErr> {
        let mut tx = self.db.begin_for(change.account).await?;
        let mut record = lock_account(&tx, change.account).await?;
        if change.version > record.version {
            change_state(&mut tx, self.service, &self.db, &mut record, change).await?;
        }
        tx.commit().await
    }
}

fn read(event: &Event) -> Result<Change, String> {
    let changed: AccountStateChanged = decode(event)?;
    let state = match changed.state() {
        pb::AccountState::Active => AccountState::Active,
        pb::AccountState::Suspended => AccountState::Suspended,
        pb::AccountState::Ended => AccountState::Ended,
        pb::AccountState::Unspecified => return Err("the event has no state of the account".into()),
    };
    let job = uuid("account_job_id", &changed.account_job_id)?;
    Ok(Change { account: account_id(event)?, job, state, version: event.version.into() })
}

/// Saves the state. It is confirmed at once, except that of an account whose rows are to be erased first.
async fn change_state(
    tx: &mut Tx,
    service: &'static str,
    db: &Db,
    record: &mut AccountRecord,
    change: &Change,
) -> Result<(), DbErr> {
    (record.state, record.job, record.version) = (change.state, change.job, change.version);
    if record.state != AccountState::Ended {
        confirm(tx, service, record).await?;
    }
    save_account(tx, record).await?;
    let db = db.clone();
    tx.on_commit(move || db.forget_account_states());
    Ok(())
}

async fn confirm(tx: &mut Tx, service: &'static str, record: &mut AccountRecord) -> Result<(), DbErr> {
    record.confirmed_version = record.version;
    let confirmed = AccountStateConfirmed {
        account_job_id: record.job.to_string(),
        state_version: i32::try_from(record.version).unwrap_or(i32::MAX),
    };
    let aggregate = next_event(service, record);
    append(tx, aggregate, &confirmed).await
}

/// The aggregate of the service's next event about the account. Its events are kept when the account is erased.
fn next_event(source: &'static str, record: &mut AccountRecord) -> Aggregate {
    record.events += 1;
    Aggregate { source, account: record.account, kind: "account", id: record.account.0, version: record.events }
}

/// Changes the state in the service that decides it, with the event for the others. `record` is locked. Returns the version of the change,
/// which the others confirm.
pub async fn announce_account_state(
    tx: &mut Tx,
    service: &'static str,
    db: &Db,
    record: &mut AccountRecord,
    job: Uuid,
    state: AccountState,
) -> Result<i64, DbErr> {
    let aggregate = next_event(service, record);
    let version = aggregate.version;
    let announced = match state {
        AccountState::Active => pb::AccountState::Active,
        AccountState::Suspended => pb::AccountState::Suspended,
        AccountState::Ended => pb::AccountState::Ended,
    };
    let changed = AccountStateChanged { account_job_id: job.to_string(), state: announced.into() };
    append(tx, aggregate, &changed).await?;
    let change = Change { account: record.account, job, state, version };
    change_state(tx, service, db, record, &change).await?;
    Ok(version)
}

/// Announces that every service has erased the account. `record` is locked.
pub async fn announce_account_erased(
    tx: &mut Tx,
    service: &'static str,
    record: &mut AccountRecord,
) -> Result<(), DbErr> {
    let aggregate = next_event(service, record);
    append(tx, aggregate, &AccountErased { account_job_id: record.job.to_string() }).await?;
    save_account(tx, record).await
}

/// Erases what the service has of accounts that have ended, until the shutdown. Every part is a transaction that finds what is left in the
/// rows: so an erasure goes on at any replica after any kill.
pub(crate) async fn erase_ended_accounts(service: Arc<dyn AnyService>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match accounts_to_erase(service.db()).await {
            Ok(accounts) => {
                for account in accounts {
                    if let Err(error) = erase(&*service, account, &shutdown).await {
                        tracing::warn!(%error, %account, "the erasure of an account goes on later");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "accounts to be erased cannot be read; retrying"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Erases the account and confirms it. Fails when something is written meanwhile, or an event waits to be published: try again.
async fn erase(service: &dyn AnyService, account: AccountId, shutdown: &CancellationToken) -> Result<(), AnyError> {
    let (definition, db) = (service.definition(), service.db());
    let of_libraries = [frontdesk_idempotency::ACCOUNT_TABLE, frontdesk_outbox::ACCOUNT_TABLE];
    let tables: Vec<AccountTable> = definition.account_tables.iter().chain(&of_libraries).copied().collect();
    loop {
        if shutdown.is_cancelled() {
            return Ok(());
        }
        let tx = db.begin_for(account).await?;
        // Replicas that erase the same account take turns.
        let locked = find_account_for_update(&tx, account).await?;
        if !locked.is_some_and(|record| record.is_to_be_erased()) {
            return Ok(());
        }
        let deleted = erase_account_rows(&tx, account, &tables).await?;
        tx.commit().await?;
        if deleted == 0 {
            break;
        }
    }
    if frontdesk_outbox::has_waiting_event_of(db, account).await? {
        return Err("an event of the account waits to be published".into());
    }
    frontdesk_bus::delete_dead_letters_of(db, account).await?;
    service.erase_files_of(account).await?;
    db.purge_deleted_rows().await?;

    let mut tx = db.begin_for(account).await?;
    let Some(mut record) = find_account_for_update(&tx, account).await?.filter(AccountRecord::is_to_be_erased) else {
        return Ok(());
    };
    if erase_account_rows(&tx, account, &tables).await? > 0 {
        tx.commit().await?;
        return Err("rows of the account were written meanwhile".into());
    }
    confirm(&mut tx, definition.name, &mut record).await?;
    save_account(&tx, &record).await?;
    Ok(tx.commit().await?)
}
