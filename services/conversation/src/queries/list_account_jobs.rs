//! The ends of an account, newest first.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{App, domain::AccountJob, error::ConversationError, store::account_jobs};

/// `after`: time and id of the last job before.
pub(crate) async fn list_account_jobs(
    app: &App,
    caller: &Caller,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<AccountJob>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(account_jobs::list(&read.conn(), caller.account, after, limit).await?)
}
