//! Tries a template with a sample transcript (rule T6).

use super::permit;
use crate::{
    App,
    domain::TranscriptTemplate,
    error::NotificationError,
    mail::{self, Language, SampleMail},
};

/// Renders the sample, or says what is wrong with the template. A replica renders as many samples and previews together as the setting
/// allows.
pub(crate) async fn render_sample(app: &App, template: TranscriptTemplate) -> Result<SampleMail, NotificationError> {
    let _permit = permit(app).await?;
    let render = move || {
        let (language, faults) =
            Language::of_template(&template).map_err(|error| NotificationError::Internal(error.to_string()))?;
        match faults.into_iter().next() {
            Some(fault) => Err(NotificationError::Template(fault)),
            None => mail::sample_mail(&language).map_err(NotificationError::Template),
        }
    };
    // A template may use all the steps that it has, which must not block the threads that serve calls.
    let rendered = tokio::task::spawn_blocking(render).await;
    rendered.map_err(|error| NotificationError::Internal(error.to_string()))?
}
