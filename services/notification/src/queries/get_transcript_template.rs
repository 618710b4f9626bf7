//! How an account writes its transcripts in a language.

use frontdesk_auth::Caller;

use crate::{App, domain::TranscriptTemplate, error::NotificationError, store};

/// Returns the account's template in this language; the shipped one when it has none.
pub(crate) async fn get_transcript_template(
    app: &App,
    caller: &Caller,
    language: &str,
) -> Result<TranscriptTemplate, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(store::transcript_templates::find(&read.conn(), caller.account, language).await?)
}
