//! The end of an account.

use frontdesk_auth::Caller;
use frontdesk_db::AccountId;
use uuid::Uuid;

use crate::{App, domain::AccountJob, error::ConversationError, store::account_jobs};

pub(crate) async fn get_account_job(app: &App, caller: &Caller, id: Uuid) -> Result<AccountJob, ConversationError> {
    let job = find_account_job(app, caller.account, id).await?;
    job.ok_or(ConversationError::NotFound("account job"))
}

/// For the holder of a link.
pub(crate) async fn find_account_job(
    app: &App,
    account: AccountId,
    id: Uuid,
) -> Result<Option<AccountJob>, ConversationError> {
    let read = app.db.read_for(account).await?;
    Ok(account_jobs::find(&read.conn(), account, id).await?)
}
