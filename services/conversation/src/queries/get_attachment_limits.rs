//! What may be attached to messages (rule C5).

use frontdesk_db::{AccountId, DbErr};
use sea_orm::ConnectionTrait;

use crate::{App, domain::AttachmentPolicy, error::ConversationError, store::account_settings};

/// What the team of the account may attach. None: nothing.
pub(crate) async fn get_attachment_limits(
    app: &App,
    account: AccountId,
) -> Result<Option<AttachmentPolicy>, ConversationError> {
    let read = app.db.read_for(account).await?;
    Ok(read_attachment_limits(app, &read.conn(), account, false).await?)
}

/// What the visitors of the account, or its team, may attach. None: nothing.
pub(super) async fn read_attachment_limits<C: ConnectionTrait>(
    app: &App,
    conn: &C,
    account: AccountId,
    by_visitor: bool,
) -> Result<Option<AttachmentPolicy>, DbErr> {
    let settings = account_settings::find(conn, account).await?;
    let policy = settings.attachment_policy(&app.attachment_policy, by_visitor);
    let takes_files = app.attachment_links.is_enabled() && !policy.media_types.is_empty();
    Ok(takes_files.then_some(policy))
}
