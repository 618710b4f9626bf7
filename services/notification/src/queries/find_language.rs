//! The language of a transcript (rule T6).

use frontdesk_db::AccountId;

use crate::{
    App,
    error::NotificationError,
    mail::{self, ComposeError, Language},
    store,
};

/// Returns the language of the first tag that the account has a template for, or that has a shipped file; of both, the account's.
pub(crate) async fn find_language(app: &App, account: AccountId, tags: &[&str]) -> Result<Language, NotificationError> {
    let failed = |error: ComposeError| NotificationError::Internal(error.to_string());
    let read = app.db.read_for(account).await?;
    let own = store::transcript_templates::list_languages(&read.conn(), account).await?;
    let Some(tag) = mail::own_language(&own, tags) else { return mail::language(tags).cloned().map_err(failed) };
    let template = store::transcript_templates::find(&read.conn(), account, tag).await?;
    let (language, faults) = Language::of_template(&template).map_err(failed)?;
    for fault in faults {
        tracing::warn!(%account, %fault, "a word of an account's template is left out");
    }
    Ok(language)
}
