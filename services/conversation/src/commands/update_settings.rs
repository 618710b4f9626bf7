//! The account's settings change.

use frontdesk_auth::Caller;

use super::steps::{require_active_caller, require_known_caller};
use crate::{
    App,
    domain::{AccountSettings, AccountSettingsUpdate},
    error::ConversationError,
    store::account_settings,
};

pub(crate) struct UpdateSettings {
    pub(crate) update: AccountSettingsUpdate,
    /// The etag that the caller read. Empty: update unconditionally.
    pub(crate) etag: String,
}

/// Commits the settings: every transaction that reads them after it, at any replica, goes by them.
pub(crate) async fn update_settings(
    app: &App,
    caller: &Caller,
    command: UpdateSettings,
) -> Result<AccountSettings, ConversationError> {
    require_known_caller(app, caller).await?;
    let mut tx = app.db.begin_for(caller.account).await?;
    let settings = account_settings::find_for_update(&tx, caller.account).await?;
    require_active_caller(&tx, caller).await?;
    let Some(mut updated) = settings.updated(command.update.clone()) else { return Ok(settings) };
    if !command.etag.is_empty() && command.etag != settings.etag() {
        return Err(ConversationError::EtagMismatch("settings"));
    }
    command.update.check(&app.attachment_policy).map_err(ConversationError::SettingNotAllowed)?;
    let now = tx.now().await?;
    account_settings::save(&mut tx, &mut updated, now).await?;
    tx.commit().await?;
    Ok(updated)
}
