//! Links to the bytes of attachments and to files of exports, which identify their holder: signed for one of them and one purpose, until an
//! end (rules C5, X2).

use std::time::Duration;

use frontdesk_auth::{InstallationSecret, TokenError};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use crate::error::ConversationError;

/// Path of the links on the listener for browsers.
pub(crate) const PATH: &str = "/attachments/";
/// Path of the links to files of exports.
pub(crate) const EXPORTS_PATH: &str = "/attachments/exports/";

/// Path of the links to files of exports of accounts.
pub(crate) const ACCOUNT_EXPORTS_PATH: &str = "/attachments/account-exports/";

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkPurpose {
    Upload,
    Download,
    /// Of the file of an export; its job is in the place of the attachment.
    ContactExport,
    /// Of the file with all data of an account; its job is in the place of the attachment.
    AccountExport,
}

impl LinkPurpose {
    /// The audience of its tokens.
    fn audience(self) -> &'static str {
        match self {
            Self::Upload => "attachments/upload",
            Self::Download => "attachments/download",
            Self::ContactExport => "contact-exports/download",
            Self::AccountExport => "account-exports/download",
        }
    }

    /// The path of its links.
    fn path(self) -> &'static str {
        match self {
            Self::Upload | Self::Download => PATH,
            Self::ContactExport => EXPORTS_PATH,
            Self::AccountExport => ACCOUNT_EXPORTS_PATH,
        }
    }
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) url: String,
    pub(crate) expires_at: Time,
}

/// Makes and reads the links. Clones share them.
#[derive(Clone)]
pub(crate) struct AttachmentLinks {
    secret: InstallationSecret,
    /// Where browsers reach this installation. Empty: nowhere.
    public_url: String,
}

impl AttachmentLinks {
    pub(crate) fn new(secret: InstallationSecret, public_url: &str) -> Self {
        Self { secret, public_url: public_url.trim_end_matches('/').to_owned() }
    }

    /// Whether there is an address for links.
    pub(crate) fn is_enabled(&self) -> bool {
        !self.public_url.is_empty()
    }

    /// Refuses where there is no address for links.
    pub(crate) fn require_enabled(&self) -> Result<(), ConversationError> {
        if self.is_enabled() { Ok(()) } else { Err(ConversationError::AttachmentsDisabled) }
    }

    /// A link that expires after this time from now.
    pub(crate) fn link_for(
        &self,
        purpose: LinkPurpose,
        account: AccountId,
        attachment: Uuid,
        lifetime: Duration,
    ) -> Result<Link, ConversationError> {
        self.link_until(purpose, account, attachment, self.secret.clock().now().plus(lifetime))
    }

    /// A link that expires at this time.
    pub(crate) fn link_until(
        &self,
        purpose: LinkPurpose,
        account: AccountId,
        attachment: Uuid,
        expires_at: Time,
    ) -> Result<Link, ConversationError> {
        self.require_enabled()?;
        // Tokens expire at whole seconds.
        let expires_at = Time(expires_at.0.saturating_sub(expires_at.0.rem_euclid(1_000_000)));
        let token = self.secret.sign_until(purpose.audience(), expires_at, &(account, attachment));
        let token = token.map_err(|error| ConversationError::Unsigned(error.to_string()))?;
        Ok(Link { url: format!("{}{}{token}", self.public_url, purpose.path()), expires_at })
    }

    /// Account and id of the attachment that a token was signed for.
    pub(crate) fn verify(&self, purpose: LinkPurpose, token: &str) -> Result<(AccountId, Uuid), TokenError> {
        self.secret.verify(token, purpose.audience())
    }
}
