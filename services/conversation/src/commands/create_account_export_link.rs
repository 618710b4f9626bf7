//! A link to the file of the export of an account that ends (rule X2). Nothing is stored.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{Link, LinkPurpose};
use crate::{App, error::ConversationError, queries::get_account_job};

pub(crate) async fn create_account_export_link(
    app: &App,
    caller: &Caller,
    id: Uuid,
) -> Result<Link, ConversationError> {
    app.attachment_links.require_enabled()?;
    let job = get_account_job(app, caller, id).await?;
    let now = app.db.now().await?;
    let file = job.readable_file(now).ok_or(ConversationError::AccountExportNotReady(job.status))?;
    let end = now.plus(app.attachment_settings.link_lifetime).min(file.expires_at);
    app.attachment_links.link_until(LinkPurpose::AccountExport, caller.account, id, end)
}
