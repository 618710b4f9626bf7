//! Goes back to the shipped template (rule T6).

use frontdesk_auth::Caller;

use crate::{App, domain::TranscriptTemplate, error::NotificationError, store};

/// Deletes the account's template in this language. Without one nothing changes.
pub(crate) async fn delete_transcript_template(
    app: &App,
    caller: &Caller,
    language: &str,
) -> Result<(), NotificationError> {
    let tx = app.db.begin_for(caller.account).await?;
    store::mail_counts::lock(&tx, caller.account).await?;
    let mut template = store::transcript_templates::find(tx.conn(), caller.account, language).await?;
    // The row stays, so that an etag of before is not that of a later template.
    let shipped = TranscriptTemplate {
        version: template.version,
        updated_at: template.updated_at,
        ..TranscriptTemplate::shipped(caller.account, language.to_owned())
    };
    let now = tx.now().await?;
    if template.update(shipped, "", now)? {
        store::transcript_templates::save(&tx, &template).await?;
    }
    tx.commit().await?;
    Ok(())
}
