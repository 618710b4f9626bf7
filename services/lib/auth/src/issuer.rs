//! An issuer of tokens: its keys, and which of its claims name the caller.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use frontdesk_clock::{Clock, Time};
use serde_json::{Map, Value};
use tokio_util::task::TaskTracker;

use crate::{
    caller::{Actor, Caller, CallerKind},
    claims::Claim,
    jwks::{self, Jwks, JwksError, Key, KeySet},
    roles::Roles,
    settings::IssuerSettings,
    token::{self, Expected, TokenError, UnverifiedHeader},
};

/// Longest time from `nbf` to `exp`. A longer one is a mistake: the claim is missing, or not in seconds.
const MAX_LIFETIME: Duration = Duration::from_secs(366 * 24 * 3600);

/// An issuer, with its keys.
pub(crate) struct Issuer {
    settings: IssuerSettings,
    jwks: Arc<Jwks>,
}

impl Issuer {
    pub(crate) fn try_new(settings: &IssuerSettings, tasks: &TaskTracker) -> Result<Self, String> {
        let invalid = |why: String| format!("identity.issuers, {:?}: {why}", settings.issuer);
        if settings.issuer.is_empty() || settings.jwks.is_empty() {
            return Err(invalid("both issuer and jwks must be set".into()));
        }
        if settings.kinds.contains(&CallerKind::Service) {
            return Err(invalid("kinds must not contain service: a service is known by its certificate".into()));
        }
        let algorithms = jwks::algorithms(&settings.algorithms).map_err(invalid)?;
        let jwks = Jwks::try_new(&settings.jwks, &settings.ca_path, algorithms, tasks);
        let jwks = jwks.map_err(|error| invalid(error.to_string()))?;
        Ok(Self { settings: settings.clone(), jwks: Arc::new(jwks) })
    }

    pub(crate) fn name(&self) -> &str {
        &self.settings.issuer
    }

    pub(crate) fn keys_are_in_a_file(&self) -> bool {
        self.jwks.is_file()
    }

    /// Reads its keys, so that a mistake shows at the start.
    pub(crate) async fn load_keys(&self) -> Result<(), JwksError> {
        self.jwks.refresh().await
    }

    /// Reads its keys and uses none of them.
    pub(crate) async fn read_keys(&self) -> Result<KeySet, JwksError> {
        self.jwks.read().await
    }

    /// The caller that the token names, and the key that signed it.
    pub(crate) async fn verify(
        &self,
        token: &str,
        header: &UnverifiedHeader,
        roles: &Roles,
        leeway: Duration,
        clock: &Clock,
    ) -> Result<(Caller, Key), TokenError> {
        let key = self.jwks.key(header.key_id.as_deref()).await?;
        if header.algorithm != key.algorithm {
            return Err(TokenError::invalid("its algorithm is not its key's"));
        }
        let (issuer, audience) = (self.settings.issuer.as_str(), self.settings.audience.as_str());
        let expected = Expected {
            algorithm: key.algorithm,
            issuer,
            audience,
            leeway,
            max_lifetime: Some(MAX_LIFETIME),
            require_nbf: self.settings.not_before_required,
        };
        let (claims, ends) = token::verify(token, &key.key, &expected, clock)?;
        Ok((self.caller(&claims, ends, roles)?, key))
    }

    /// Checks that the issuer still publishes the key that signed a token, which names it by this id.
    pub(crate) async fn require_key(&self, key_id: Option<&str>, signed_by: &Key) -> Result<(), TokenError> {
        let key = self.jwks.key(key_id).await?;
        if key.is(signed_by) {
            Ok(())
        } else {
            Err(TokenError::invalid("its key was replaced; sign with the newest one"))
        }
    }

    fn caller(&self, claims: &Map<String, Value>, ends: Time, roles: &Roles) -> Result<Caller, TokenError> {
        let names = &self.settings.claims;
        let account = claim(claims, &names.account).account()?;
        let kind = match find(claims, &names.kind) {
            None => CallerKind::Agent,
            Some(_) => claim(claims, &names.kind).kind()?,
        };
        if !self.settings.kinds.contains(&kind) {
            return Err(TokenError::invalid(format!("its issuer may not issue tokens of kind {}", kind.as_str())));
        }
        let (roles_claim, permissions_claim) = (find(claims, &names.roles), find(claims, &names.permissions));
        // The default role applies only when both claims are missing; an empty list grants nothing.
        let permissions = if roles_claim.is_none() && permissions_claim.is_none() {
            roles.permissions(Roles::default_for(kind))
        } else {
            let mut permissions = roles.permissions(words(roles_claim));
            permissions.extend(words(permissions_claim).into_iter().map(String::from));
            permissions
        };
        let subject = claim(claims, &names.subject).subject(kind)?;
        if kind == CallerKind::Visitor && subject.contains('/') {
            return Err(TokenError::invalid(
                "a visitor's subject must not contain '/': it separates scope and subject in tokens of a scope's key",
            ));
        }
        // A name of another type belongs to something else of the issuer's.
        let name = find(claims, &names.name).and_then(Value::as_str).unwrap_or_default();
        Ok(Caller {
            account,
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

/// A claim by its name, or by its JSON pointer.
fn claim<'a>(claims: &'a Map<String, Value>, name: &'a str) -> Claim<'a> {
    Claim { name, value: find(claims, name) }
}

/// The claim of this name, or at this JSON pointer.
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

/// The words of a list, or of a text that separates them by spaces, as the claim `scope` does.
fn words(value: Option<&Value>) -> BTreeSet<&str> {
    match value {
        Some(Value::String(words)) => words.split_whitespace().collect(),
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
        _ => BTreeSet::new(),
    }
}
