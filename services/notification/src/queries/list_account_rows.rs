//! The rows of an account, for its export.

use frontdesk_auth::Caller;
use frontdesk_db::{AccountRowCursor, AccountRows};

use crate::{App, error::NotificationError, store::ACCOUNT_TABLES};

pub(crate) async fn list_account_rows(
    app: &App,
    caller: &Caller,
    cursor: AccountRowCursor,
) -> Result<AccountRows, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(frontdesk_db::list_account_rows(&read.conn(), caller.account, ACCOUNT_TABLES, cursor).await?)
}
