//! Sends composed mails: to files in a mailbox folder, or to a mail server.

mod connect;
mod file;
mod inspection;
mod pool;
mod refusal;
mod smtp;
mod trust;

use std::path::{Path, PathBuf};

use frontdesk_db::AccountId;
use uuid::Uuid;

pub use inspection::{MailServerInspection, inspect_mail_server};
pub(crate) use smtp::Smtp;

use crate::{domain::AttemptOutcome, settings::NotificationSettings};

/// A composed mail with its SMTP envelope.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) account: AccountId,
    pub(crate) delivery: Uuid,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) bytes: Vec<u8>,
}

/// Where mails are sent.
#[derive(Clone)]
pub(crate) enum Transport {
    /// This folder, with one folder for each account and in it one file for each delivery. Sending again writes the same file.
    File(PathBuf),
    /// A mail server.
    Smtp(Box<Smtp>),
}

/// The settings of the mail server are invalid.
#[derive(Debug, thiserror::Error)]
#[error("notification.smtp: {0}")]
pub(crate) struct TransportError(pub(crate) String);

impl Transport {
    /// Returns the mailbox folder or the mail server of the settings.
    pub(crate) fn try_new(settings: &NotificationSettings, data_folder: &Path) -> Result<Self, TransportError> {
        match settings.mailbox_folder(data_folder) {
            Some(folder) => Ok(Self::File(folder)),
            None => {
                let smtp = Smtp::try_new(&settings.smtp)?;
                if let Some(warning) = smtp.warning() {
                    tracing::warn!("{warning}");
                }
                Ok(Self::Smtp(Box::new(smtp)))
            }
        }
    }

    /// Sends one mail, within a bounded time.
    pub(crate) async fn send(&self, mail: Mail) -> AttemptOutcome {
        match self {
            Self::File(folder) => file::write(folder, mail).await,
            Self::Smtp(smtp) => smtp.send(&mail).await,
        }
    }

    /// Closes the connections that are kept for further mails.
    pub(crate) async fn close_idle(&self) {
        match self {
            Self::File(_) => {}
            Self::Smtp(smtp) => smtp.close_idle().await,
        }
    }

    /// Returns whether repeating an interrupted attempt sends no second mail.
    pub(crate) fn is_idempotent(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Returns its name in logs.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::File(_) => "mailbox",
            Self::Smtp(_) => "smtp",
        }
    }
}
