//! The account's settings.

use frontdesk_auth::Caller;

use crate::{App, domain::AccountSettings, error::ConversationError, store::account_settings};

pub(crate) async fn get_settings(app: &App, caller: &Caller) -> Result<AccountSettings, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(account_settings::find(&read.conn(), caller.account).await?)
}
