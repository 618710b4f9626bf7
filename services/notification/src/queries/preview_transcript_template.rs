//! What a changed template would make of a sample, without saving it (rule T9).

use frontdesk_auth::Caller;

use super::render_sample;
use crate::{App, domain::TemplateChange, error::NotificationError, mail::SampleMail, store};

/// Renders a sample with the account's template in this language after the change.
pub(crate) async fn preview_transcript_template(
    app: &App,
    caller: &Caller,
    language: &str,
    change: TemplateChange,
) -> Result<SampleMail, NotificationError> {
    let read = app.db.read_for(caller.account).await?;
    let template = store::transcript_templates::find(&read.conn(), caller.account, language).await?;
    drop(read);
    render_sample(app, template.with(change)).await
}
