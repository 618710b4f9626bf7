//! Whether a key that signed a visitor's token is active now.

use frontdesk_db::AccountId;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{App, store::visitor_keys};

/// Asked before the caller is known, so outside of row-level security.
pub(crate) async fn is_visitor_key_active(
    app: &App,
    account: AccountId,
    channel: Uuid,
    number: i32,
) -> Result<bool, DbErr> {
    let key = visitor_keys::find(app.db.read(), account, channel, number).await?;
    let now = app.db.now().await?;
    Ok(key.is_some_and(|key| key.is_active(now)))
}
