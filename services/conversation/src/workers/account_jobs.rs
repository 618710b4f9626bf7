//! Works on the ends of accounts (rule X2): exports, begins the erasure, and ends the job. Each service, this one too, suspends and erases
//! its rows by itself (`frontdesk_service`); here the job waits for their confirmations. Every step is a transaction that finds in the row
//! what is to be done: so a job goes on at any replica after any kill.

use std::time::Duration;

use frontdesk_db::{AccountId, AccountState, find_account_for_update, lock_account};
use frontdesk_service::{announce_account_erased, announce_account_state};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{account_export, contact_jobs::AnyError, running_exports::RunningExports};
use crate::{
    App, NAME,
    domain::{ACCOUNT_JOB_CLAIM, AccountJobStatus},
    store::account_jobs::{self, DueWork},
};

/// Interval between two looks for jobs that are due.
const INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of jobs that are looked at at once.
const MAX_JOBS: u64 = 10;

/// Works until the shutdown. Exports run beside the other steps: one that takes long delays the end of no other account.
pub(super) async fn run(app: App, shutdown: CancellationToken) {
    let mut exports = RunningExports::default();
    while !shutdown.is_cancelled() {
        if let Err(error) = work(&app, &shutdown, &mut exports).await {
            tracing::warn!(%error, "the ends of accounts cannot be read; retrying");
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
    exports.finish().await;
}

async fn work(app: &App, shutdown: &CancellationToken, exports: &mut RunningExports) -> Result<(), AnyError> {
    for (account, id) in account_jobs::list_erasing(app.db.read()).await? {
        confirm_own_part(app, account, id).await?;
    }
    let now = app.db.now().await?;
    for (account, id) in account_jobs::list_due(app.db.read(), now, DueWork::Steps, MAX_JOBS).await? {
        go_on(app, shutdown, account, id).await;
    }
    for (account, id) in account_jobs::list_due(app.db.read(), now, DueWork::Exports, MAX_JOBS).await? {
        if exports.room() == 0 {
            break;
        }
        let (app, shutdown) = (app.clone(), shutdown.clone());
        exports.start(id, async move { go_on(&app, &shutdown, account, id).await });
    }
    Ok(())
}

/// A step of a job that is due. When it fails the job is due again, and delays no other.
async fn go_on(app: &App, shutdown: &CancellationToken, account: AccountId, id: Uuid) {
    if let Err(error) = turn(app, shutdown, account, id).await {
        tracing::warn!(%error, account_job_id = %id, "the end of an account goes on later");
    }
}

/// Notes that this service has erased its part.
async fn confirm_own_part(app: &App, account: AccountId, id: Uuid) -> Result<(), AnyError> {
    let tx = app.db.begin_for(account).await?;
    let record = find_account_for_update(&tx, account).await?;
    if let Some(record) = record
        && let Some(mut job) = account_jobs::find_for_update(&tx, account, id).await?
        && record.confirmed_version >= job.state_version
        && job.confirm(NAME, job.state_version, tx.now().await?)
    {
        account_jobs::save(&tx, &job).await?;
    }
    Ok(tx.commit().await?)
}

/// A step of a job that is due.
async fn turn(app: &App, shutdown: &CancellationToken, account: AccountId, id: Uuid) -> Result<(), AnyError> {
    let mut tx = app.db.begin_for(account).await?;
    // The account is locked before its job, as everywhere.
    let mut record = lock_account(&tx, account).await?;
    let Some(mut job) = account_jobs::find_for_update(&tx, account, id).await? else { return Ok(()) };
    let now = tx.now().await?;
    if job.due_at.is_none_or(|due| now < due) {
        return Ok(());
    }
    match job.status {
        AccountJobStatus::Suspending | AccountJobStatus::Exporting => {
            if job.begin_attempt() {
                job.due_at = Some(now.plus(ACCOUNT_JOB_CLAIM));
                account_jobs::save(&tx, &job).await?;
                tx.commit().await?;
                return account_export::attempt(app, shutdown, &job, now).await;
            }
        }
        AccountJobStatus::Waiting => {
            if job.is_to_be_erased(now) {
                let ended = AccountState::Ended;
                let version = announce_account_state(&mut tx, NAME, &app.db, &mut record, id, ended).await?;
                job.begin_erasure(version);
            }
        }
        AccountJobStatus::Erasing => {
            if job.end(now) {
                announce_account_erased(&mut tx, NAME, &mut record).await?;
            }
        }
        AccountJobStatus::Cancelled => {
            tx.commit().await?;
            app.objects.delete_all(account, id).await?;
            return forget_file(app, account, id).await;
        }
        AccountJobStatus::Done => job.due_at = None,
    }
    account_jobs::save(&tx, &job).await?;
    Ok(tx.commit().await?)
}

/// Nothing is left of the file of a cancelled job.
async fn forget_file(app: &App, account: AccountId, id: Uuid) -> Result<(), AnyError> {
    let tx = app.db.begin_for(account).await?;
    if let Some(mut job) = account_jobs::find_for_update(&tx, account, id).await? {
        job.due_at = None;
        account_jobs::save(&tx, &job).await?;
    }
    Ok(tx.commit().await?)
}
