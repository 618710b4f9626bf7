//! The templates that an account has of its own, by language.

use frontdesk_auth::Caller;

use crate::{App, domain::TranscriptTemplate, error::NotificationError, store};

/// Returns up to `limit` templates after a language.
pub(crate) async fn list_transcript_templates(
    app: &App,
    caller: &Caller,
    after: Option<&str>,
    limit: u64,
) -> Result<Vec<TranscriptTemplate>, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::transcript_templates::list(&read.conn(), caller.account, after, limit).await?)
}
