//! What a token says.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Kind};

/// The claims of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// For whom: always `frontdesk`.
    pub aud: String,
    /// Whose it is: an agent's or bot's UUID, the platform's own word for a visitor (1 to 128 characters).
    pub sub: String,
    /// The account.
    pub account: AccountId,
    /// The kind of the caller.
    pub kind: Kind,
    /// What it permits; agents and administrators only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Address of the visitor that the issuer vouches for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Not before, seconds since 1970.
    pub nbf: i64,
    /// Expires at, seconds since 1970.
    pub exp: i64,
}

/// Why a token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The signature, issuer, audience or a time is wrong, or a claim is missing.
    #[error("the token is not valid: {0}")]
    Invalid(String),
    /// The subject does not fit the kind.
    #[error("the token's subject must be {0}")]
    Subject(&'static str),
}

/// The permissions of a kind where nobody says otherwise: an agent's daily work, everything for an administrator.
pub fn permissions_of(kind: Kind) -> &'static [&'static str] {
    const AGENT: &[&str] = &[
        "conversations.read",
        "conversations.write",
        "contacts.read",
        "contacts.write",
        "channels.read",
        "tickets.read",
        "tickets.write",
        "bots.read",
        "roster.read",
        "senders.read",
        "transcripts.read",
        "transcripts.send",
    ];
    const ADMIN: &[&str] = &[
        "conversations.read",
        "conversations.write",
        "contacts.read",
        "contacts.write",
        "channels.read",
        "channels.write",
        "tickets.read",
        "tickets.write",
        "bots.read",
        "bots.write",
        "roster.read",
        "roster.write",
        "senders.read",
        "senders.write",
        "transcripts.read",
        "transcripts.send",
    ];
    match kind {
        Kind::Agent => AGENT,
        Kind::Admin => ADMIN,
        Kind::Visitor | Kind::Bot | Kind::Service => &[],
    }
}
