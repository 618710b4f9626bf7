//! An administrator ends the account (rule X2). The transaction suspends it in this service, with an event for the others; the job goes
//! on in `workers/account_jobs.rs`.

use std::time::Duration;

use frontdesk_auth::Caller;
use frontdesk_db::{AccountId, AccountState, lock_account};
use frontdesk_idempotency::Key;
use frontdesk_service::announce_account_state;
use uuid::Uuid;

use crate::{App, NAME, domain::AccountJob, error::ConversationError, store::account_jobs};

pub(crate) struct EndAccount {
    /// The account that the caller means.
    pub(crate) account: AccountId,
    /// Time between the end of the export and the erasure.
    pub(crate) erase_delay: Duration,
    pub(crate) key: Key,
}

/// Returns the job; where the account's end is in progress or done, that one.
pub(crate) async fn end_account(
    app: &App,
    caller: &Caller,
    command: EndAccount,
) -> Result<AccountJob, ConversationError> {
    if command.account != caller.account {
        return Err(ConversationError::NotFound("account"));
    }
    // Without links the file could not be read.
    app.attachment_links.require_enabled()?;
    let account = caller.account;
    let mut tx = app.db.begin_for(account).await?;
    // Locked: of two calls the second finds the job of the first.
    let mut record = lock_account(&tx, account).await?;
    if let Some(id) = command.key.claim::<Uuid>(&tx).await? {
        let job = account_jobs::find(tx.conn(), account, id).await?;
        return job.ok_or(ConversationError::NotFound("account job"));
    }
    let job = match account_jobs::find_current(&tx, account).await? {
        // The id of the request is not stored: nothing is written any more for an account that has ended.
        Some(job) if !job.is_cancellable() => return Ok(job),
        Some(job) => job,
        None => {
            let (id, now) = (tx.new_id(), tx.now().await?);
            let state = AccountState::Suspended;
            let version = announce_account_state(&mut tx, NAME, &app.db, &mut record, id, state).await?;
            let job = AccountJob::new(id, account, &caller.actor.id, command.erase_delay, version, now);
            account_jobs::insert(&tx, &job).await?;
            job
        }
    };
    command.key.store_result(&tx, &job.id).await?;
    tx.commit().await?;
    Ok(job)
}
