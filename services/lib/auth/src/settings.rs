//! The settings `identity`: which tokens are accepted.

use std::{path::PathBuf, time::Duration};

use frontdesk_settings::Secret;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::{caller::CallerKind, roles::Roles};

/// The accepted issuers of tokens, and the installation's own secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentitySettings {
    /// Accept tokens of the development key in the data folder: on a loopback address only. Unset: while there are no issuers.
    pub development_key: Option<bool>,
    /// The installation's secret, at least 32 bytes, the same for every process: page tokens are signed with it, and the
    /// keys for visitor tokens are derived from it. Empty: the development key.
    pub secret: Secret,
    /// The previous secret, while tokens that it signed are still valid. Empty: none.
    pub previous_secret: Secret,
    /// What the claim `aud` of visitor tokens must contain.
    pub audience: String,
    /// How far the clocks of issuers and of the server may differ, at most 60 s.
    #[serde(with = "frontdesk_settings::duration")]
    pub leeway: Duration,
    /// Issuers of tokens for agents, administrators and bots.
    pub issuers: Vec<IssuerSettings>,
    /// The permissions of each role.
    pub roles: Roles,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            development_key: None,
            secret: Secret::default(),
            previous_secret: Secret::default(),
            audience: "frontdesk".into(),
            leeway: Duration::from_secs(30),
            issuers: Vec::new(),
            roles: Roles::default(),
        }
    }
}

impl IdentitySettings {
    /// Whether tokens of the development key are accepted.
    pub fn accepts_development_key(&self) -> bool {
        self.development_key.unwrap_or(self.issuers.is_empty())
    }
}

/// The identity settings are invalid; the text names the setting and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct IdentityError(pub String);

/// An issuer of tokens for agents, administrators and bots.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerSettings {
    /// Its name, exactly as in the claim `iss`.
    pub issuer: String,
    /// Its public keys, a JSON Web Key Set: an https address, or a file.
    pub jwks: String,
    /// A PEM file with the certificate authorities to trust for that address. Empty: those of the system.
    pub ca_path: PathBuf,
    /// What the claim `aud` must contain.
    pub audience: String,
    /// Signature algorithms that are accepted, of RS256, RS384, RS512, PS256, ES256, ES384, EdDSA.
    pub algorithms: Vec<String>,
    /// Kinds of callers whose tokens it may issue: never services.
    #[serde(deserialize_with = "kinds")]
    pub kinds: Vec<CallerKind>,
    /// Whether its tokens must contain the claim `nbf`. Some issuers never set it: with false, such a token is valid at once.
    pub not_before_required: bool,
    /// Names of its claims.
    pub claims: ClaimNames,
}

/// Names of claims. One that begins with `/` is a JSON pointer, such as `/realm_access/roles`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimNames {
    /// The caller's id: the UUID of an agent or bot, an id of your choice for administrators and visitors.
    pub subject: String,
    /// The account's UUID.
    pub account: String,
    /// The kind: `agent`, `admin`, `bot` or `visitor`. A token without it is an agent's, where the issuer may issue those.
    pub kind: String,
    /// Roles, a list or words separated by spaces.
    pub roles: String,
    /// Permissions in the same form, in addition to those of the roles.
    pub permissions: String,
    /// The caller's name.
    pub name: String,
}

/// Reads kinds of callers; the error lists those that exist.
fn kinds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CallerKind>, D::Error> {
    let kind = |name: String| {
        let all = [CallerKind::Agent, CallerKind::Admin, CallerKind::Bot, CallerKind::Visitor, CallerKind::Service];
        let kind = all.into_iter().find(|kind| kind.as_str() == name);
        kind.ok_or_else(|| D::Error::custom("it must be a list of agent, admin, bot, visitor"))
    };
    Vec::<String>::deserialize(deserializer)?.into_iter().map(kind).collect()
}

impl Default for IssuerSettings {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            jwks: String::new(),
            ca_path: PathBuf::new(),
            audience: "frontdesk".into(),
            algorithms: ["RS256", "ES256", "EdDSA"].map(String::from).into(),
            kinds: vec![CallerKind::Agent, CallerKind::Admin, CallerKind::Bot],
            not_before_required: true,
            claims: ClaimNames::default(),
        }
    }
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            subject: "sub".into(),
            account: "account".into(),
            kind: "kind".into(),
            roles: "roles".into(),
            permissions: "permissions".into(),
            name: "name".into(),
        }
    }
}
