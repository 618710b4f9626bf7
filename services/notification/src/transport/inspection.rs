//! What the mail server says to a connection without a mail, for its operator.

use super::{
    pool::{Open, close},
    smtp::Smtp,
};
use crate::{domain::AttemptOutcome, settings::SmtpSettings};

/// What a mail server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServerInspection {
    /// Maximum size of a mail (bytes). None: it announces none.
    pub max_bytes: Option<usize>,
    /// What may be wrong with the settings although the server took them. None: nothing.
    pub warning: Option<String>,
}

/// Connects to the mail server as a delivery does, with TLS and authentication, and asks for its maximum size. It sends no mail. The error
/// names the step that failed, and the server's response.
pub async fn inspect_mail_server(settings: &SmtpSettings) -> Result<MailServerInspection, String> {
    let smtp = Smtp::try_new(settings).map_err(|error| error.to_string())?;
    let mut connection = smtp.connect().await.map_err(reason)?;
    let max_bytes = smtp.max_size(&mut connection).await.map_err(reason)?;
    close(Open { connection, mails: 0 }).await;
    Ok(MailServerInspection { max_bytes, warning: smtp.warning() })
}

/// Why a step before a mail failed.
fn reason(outcome: AttemptOutcome) -> String {
    match outcome {
        AttemptOutcome::TransientFailure(reason) | AttemptOutcome::ConfigurationFault(reason) => reason,
        outcome => format!("{outcome:?}"),
    }
}
