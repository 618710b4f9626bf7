//! Links to transcripts on the listener for browsers, which identify their holder: each is signed for one transcript until an end (rules T6,
//! T9).

use std::time::Duration;

use frontdesk_auth::{InstallationSecret, TokenError};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::PreviewTranscript;

/// Path of the links to whole transcripts.
pub(crate) const TRANSCRIPTS_PATH: &str = "/transcripts/";
/// Path of the links to the parts of previews.
pub(crate) const PREVIEWS_PATH: &str = "/transcripts/previews/";

/// Audience of the tokens for whole transcripts.
const TRANSCRIPT_AUDIENCE: &str = "transcripts/whole";
/// Audience of the tokens for parts of previews.
const PREVIEW_AUDIENCE: &str = "transcripts/preview";

/// How long a link to a part of a preview can be opened.
const PREVIEW_LIFETIME: Duration = Duration::from_secs(3600);

/// A part of a preview that a link is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LinkedPreview {
    pub(crate) account: AccountId,
    pub(crate) query: PreviewTranscript,
}

/// Makes and reads the links. Clones share the secret.
#[derive(Clone)]
pub(crate) struct TranscriptLinks {
    secret: InstallationSecret,
    /// Where browsers reach this installation. Empty: nowhere.
    public_url: String,
}

impl TranscriptLinks {
    pub(crate) fn new(secret: InstallationSecret, public_url: &str) -> Self {
        Self { secret, public_url: public_url.trim_end_matches('/').to_owned() }
    }

    /// Returns a link to the whole transcript of a delivery. Empty: there is no address for links. The same end gives the same link.
    pub(crate) fn whole(&self, account: AccountId, delivery: Uuid, ends_at: Time) -> Result<String, TokenError> {
        self.link(TRANSCRIPTS_PATH, TRANSCRIPT_AUDIENCE, ends_at, &(account, delivery))
    }

    /// Returns a link to a part of a preview, and its end. Empty: there is no address for links.
    pub(crate) fn preview(&self, preview: &LinkedPreview) -> Result<(String, Time), TokenError> {
        let ends_at = self.secret.clock().now().plus(PREVIEW_LIFETIME);
        // Tokens expire at whole seconds.
        let ends_at = Time(ends_at.0 - ends_at.0.rem_euclid(1_000_000));
        Ok((self.link(PREVIEWS_PATH, PREVIEW_AUDIENCE, ends_at, preview)?, ends_at))
    }

    fn link<T: Serialize>(&self, path: &str, audience: &str, ends_at: Time, content: &T) -> Result<String, TokenError> {
        if self.public_url.is_empty() {
            return Ok(String::new());
        }
        let token = self.secret.sign_until(audience, ends_at, content)?;
        Ok(format!("{}{path}{token}", self.public_url))
    }

    /// Returns the account and the delivery that a token for a whole transcript was signed for.
    pub(crate) fn verify_whole(&self, token: &str) -> Result<(AccountId, Uuid), TokenError> {
        self.secret.verify(token, TRANSCRIPT_AUDIENCE)
    }

    /// Returns what a token for a part of a preview was signed for.
    pub(crate) fn verify_preview(&self, token: &str) -> Result<LinkedPreview, TokenError> {
        self.secret.verify(token, PREVIEW_AUDIENCE)
    }
}
