//! Changes how an account writes its transcripts in a language (rule T6).

use frontdesk_auth::Caller;

use crate::{
    App,
    domain::{TemplateChange, TranscriptTemplate},
    error::NotificationError,
    queries::render_sample,
    store,
};

/// Maximum number of languages in which an account has templates.
const MAX_TEMPLATES: u64 = 50;

/// The template to change.
#[derive(Clone, Debug)]
pub(crate) struct UpdateTranscriptTemplate {
    /// In lower case.
    pub(crate) language: String,
    pub(crate) change: TemplateChange,
    /// The etag that the caller read. Empty: change it unconditionally.
    pub(crate) etag: String,
}

/// Changes the template, if it renders a sample. One that has the content already stays as it is.
pub(crate) async fn update_transcript_template(
    app: &App,
    caller: &Caller,
    command: UpdateTranscriptTemplate,
) -> Result<TranscriptTemplate, NotificationError> {
    let UpdateTranscriptTemplate { language, change, etag } = command;
    // Rendered before the lock, which mails wait for. A change in between is found by its content.
    let read = app.db.read_for(caller.account).await?;
    let before = store::transcript_templates::find(&read.conn(), caller.account, &language).await?;
    drop(read);
    let changed = before.with(change.clone());
    if changed != before && !changed.is_shipped() {
        render_sample(app, changed.clone()).await?;
    }

    let tx = app.db.begin_for(caller.account).await?;
    store::mail_counts::lock(&tx, caller.account).await?;
    let mut template = store::transcript_templates::find(tx.conn(), caller.account, &language).await?;
    if template != before {
        // Another call was faster: what it wrote may not go together with this change.
        return match template.with(change) == template {
            true => Ok(template),
            false => Err(NotificationError::EtagMismatch("transcript template")),
        };
    }
    let now = tx.now().await?;
    if !template.update(changed, &etag, now)? {
        return Ok(template);
    }
    if before.is_shipped() {
        let languages = store::transcript_templates::list_languages(tx.conn(), caller.account).await?;
        if languages.len() as u64 >= MAX_TEMPLATES {
            return Err(NotificationError::TooManyTemplates(MAX_TEMPLATES));
        }
    }
    store::transcript_templates::save(&tx, &template).await?;
    tx.commit().await?;
    Ok(template)
}
