//! How a composed mail leaves: into a mailbox folder, or to a mail server.

mod file;
mod smtp;

use std::path::{Path, PathBuf};

use frontdesk_db::AccountId;
use uuid::Uuid;

pub(crate) use smtp::Smtp;

use crate::{domain::AttemptOutcome, settings::SmtpSettings};

/// A composed mail with its envelope.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) account: AccountId,
    pub(crate) delivery: Uuid,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) bytes: Vec<u8>,
}

/// The way out.
#[derive(Clone)]
pub(crate) enum Transport {
    /// Files named by delivery in a folder for each account in this one: writing one again changes nothing.
    File(PathBuf),
    /// A mail server.
    Smtp(Box<Smtp>),
}

/// The mail server's settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("notification.smtp: {0}")]
pub struct TransportError(pub(crate) String);

impl Transport {
    /// The mail server, or without a host the folder `mailbox` in `data_folder`.
    pub(crate) fn new(settings: &SmtpSettings, data_folder: &Path) -> Result<Self, TransportError> {
        if settings.host.is_empty() {
            return Ok(Self::File(data_folder.join("mailbox")));
        }
        Ok(Self::Smtp(Box::new(Smtp::new(settings)?)))
    }

    /// Hands one mail over; ends within a bounded time.
    pub(crate) async fn send(&self, mail: Mail) -> AttemptOutcome {
        match self {
            Self::File(folder) => file::write(folder, mail).await,
            Self::Smtp(smtp) => smtp.send(&mail).await,
        }
    }

    /// True: an attempt that was interrupted can be made again without a second mail.
    pub(crate) fn repeats_are_harmless(&self) -> bool {
        matches!(self, Self::File(_))
    }
}
