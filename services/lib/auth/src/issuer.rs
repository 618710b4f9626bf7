//! Who vouches for callers: an issuer of tokens, its keys, and how its claims say who somebody is.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use frontdesk_clock::{Clock, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    AccountId, Actor, Caller, Kind, Roles, TokenError,
    jwks::{self, Jwks, JwksError},
    token::{self, Expected, Head},
};

/// No issuer means a longer one: its end is not in seconds, or was forgotten.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// An issuer of tokens for agents, administrators and bots.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IssuerSettings {
    /// Its name, exactly as in the claim `iss`.
    pub issuer: String,
    /// Where its public keys are: an https address, or a file.
    pub jwks: String,
    /// Certificates (PEM) of who may vouch for that address. Empty: those that the system trusts.
    pub ca_path: PathBuf,
    /// What the claim `aud` must hold.
    pub audience: String,
    /// Signatures that are accepted, of RS256, RS384, RS512, PS256, ES256, ES384, EdDSA.
    pub algorithms: Vec<String>,
    /// Kinds of callers that it may vouch for: never services.
    pub kinds: Vec<Kind>,
    /// Its tokens must say from when they are valid (`nbf`). Some issuers never do; false: then they are valid at once.
    pub not_before_required: bool,
    /// Where its tokens say what.
    pub claims: ClaimNames,
}

/// Names of claims. One that begins with `/` is a JSON pointer, such as `/realm_access/roles`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimNames {
    /// Who it is: the agent's or bot's UUID, your own word for administrators and visitors.
    pub subject: String,
    /// The account's UUID.
    pub account: String,
    /// The kind: `agent`, `admin`, `bot` or `visitor`. A token without it is an agent's, where the issuer may vouch for agents.
    pub kind: String,
    /// Roles, a list or words with spaces between them.
    pub roles: String,
    /// Permissions, likewise, beside those of the roles.
    pub permissions: String,
    /// The name of the person.
    pub name: String,
}

impl Default for IssuerSettings {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            jwks: String::new(),
            ca_path: PathBuf::new(),
            audience: "frontdesk".into(),
            algorithms: ["RS256", "ES256", "EdDSA"].map(String::from).into(),
            kinds: vec![Kind::Agent, Kind::Admin, Kind::Bot],
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

pub(crate) struct Issuer {
    settings: IssuerSettings,
    jwks: Arc<Jwks>,
}

impl Issuer {
    pub(crate) fn try_new(settings: &IssuerSettings) -> Result<Self, String> {
        let named = |why: String| format!("identity.issuers, {:?}: {why}", settings.issuer);
        if settings.issuer.is_empty() || settings.jwks.is_empty() {
            return Err(named("both issuer and jwks must be set".into()));
        }
        if settings.kinds.contains(&Kind::Service) {
            return Err(named("kinds must not hold service: a service is known by its certificate".into()));
        }
        let algorithms = jwks::algorithms(&settings.algorithms).map_err(named)?;
        let jwks =
            Jwks::try_new(&settings.jwks, &settings.ca_path, algorithms).map_err(|error| named(error.to_string()))?;
        Ok(Self { settings: settings.clone(), jwks: Arc::new(jwks) })
    }

    pub(crate) fn name(&self) -> &str {
        &self.settings.issuer
    }

    pub(crate) fn has_file(&self) -> bool {
        self.jwks.is_file()
    }

    /// Reads its keys, to say now what would fail later.
    pub(crate) async fn prepare(&self) -> Result<(), JwksError> {
        self.jwks.renew().await
    }

    /// Who the token speaks for.
    pub(crate) async fn verify(
        &self,
        token: &str,
        head: &Head,
        roles: &Roles,
        leeway: Duration,
        clock: &Clock,
    ) -> Result<Caller, TokenError> {
        let key = self.jwks.key(head.key_id.as_deref()).await?;
        if head.algorithm != key.algorithm {
            return Err(TokenError::invalid("its algorithm is not its key's"));
        }
        let (issuer, audience) = (self.settings.issuer.as_str(), self.settings.audience.as_str());
        let begins = self.settings.not_before_required;
        let expected = Expected { algorithm: key.algorithm, issuer, audience, leeway, longest: Some(LONGEST), begins };
        let (claims, ends) = token::read(token, &key.key, &expected, clock)?;
        self.caller(&claims, ends, roles)
    }

    /// Is the key that verified a token still one of the issuer's?
    pub(crate) async fn still_publishes(&self, key_id: Option<&str>) -> Result<(), TokenError> {
        self.jwks.key(key_id).await.map(drop)
    }

    fn caller(&self, claims: &Map<String, Value>, ends: Time, roles: &Roles) -> Result<Caller, TokenError> {
        let names = &self.settings.claims;
        let text = |name: &str| find(claims, name).and_then(Value::as_str).unwrap_or_default();
        let missing = |name: &str, what: &str| TokenError::invalid(format!("its claim {name} must be {what}"));
        let account =
            text(&names.account).parse::<Uuid>().map_err(|_| missing(&names.account, "the account's UUID"))?;
        let kind = match (text(&names.kind), find(claims, &names.kind)) {
            ("", None) => Kind::Agent,
            (kind, _) => kind.parse().map_err(|_| missing(&names.kind, "agent, admin, bot or visitor"))?,
        };
        if !self.settings.kinds.contains(&kind) {
            return Err(TokenError::invalid(format!("its issuer may not vouch for callers of kind {}", kind.as_str())));
        }
        let (said, permitted) = (find(claims, &names.roles), find(claims, &names.permissions));
        // A token that says 'none' means it.
        let permissions = if said.is_none() && permitted.is_none() {
            roles.permissions(Roles::usual(kind))
        } else {
            let mut permissions = roles.permissions(words(said));
            permissions.extend(words(permitted).into_iter().map(String::from));
            permissions
        };
        let subject = token::subject(kind, text(&names.subject))?;
        if kind == Kind::Visitor && subject.contains('/') {
            return Err(TokenError::invalid(
                "a visitor's subject must not hold '/': that is how those of a scope's key are written",
            ));
        }
        let name = text(&names.name);
        Ok(Caller {
            account: AccountId(account),
            kind,
            actor: Actor { kind, id: subject },
            name: (!name.is_empty()).then(|| name.to_owned()),
            email: None,
            permissions: Arc::new(permissions),
            scope: None,
            ends: Some(ends),
        })
    }
}

fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    match name.strip_prefix('/') {
        None => claims.get(name),
        Some(pointer) => {
            let (first, rest) = pointer.split_once('/').map_or((pointer, ""), |(first, rest)| (first, rest));
            let value = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
            if rest.is_empty() { Some(value) } else { value.pointer(&format!("/{rest}")) }
        }
    }
}

/// A list, or words with spaces between them as in `scope`.
fn words(value: Option<&Value>) -> BTreeSet<&str> {
    match value {
        Some(Value::String(words)) => words.split_whitespace().collect(),
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => BTreeSet::new(),
    }
}
