//! An administrator cancels the end of the account before the erasure begins (rule X2).

use frontdesk_auth::Caller;
use frontdesk_db::{AccountState, lock_account};
use frontdesk_service::announce_account_state;
use uuid::Uuid;

use crate::{
    App, NAME,
    domain::{AccountJob, AccountJobStatus},
    error::ConversationError,
    store::account_jobs,
};

/// Of a job that was cancelled before, nothing changes.
pub(crate) async fn cancel_account_end(app: &App, caller: &Caller, id: Uuid) -> Result<AccountJob, ConversationError> {
    let account = caller.account;
    let mut tx = app.db.begin_for(account).await?;
    let mut record = lock_account(&tx, account).await?;
    let found = account_jobs::find_for_update(&tx, account, id).await?;
    let mut job = found.ok_or(ConversationError::NotFound("account job"))?;
    if job.status == AccountJobStatus::Cancelled {
        return Ok(job);
    }
    if !job.is_cancellable() {
        return Err(ConversationError::AccountErasureBegun(job.status));
    }
    announce_account_state(&mut tx, NAME, &app.db, &mut record, job.id, AccountState::Active).await?;
    job.cancel(tx.now().await?);
    account_jobs::save(&tx, &job).await?;
    tx.commit().await?;
    Ok(job)
}
