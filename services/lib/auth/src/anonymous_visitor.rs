//! Anonymous visitors: people of whom the account's back end says nothing (rule S6).
//!
//! A page has the widget token of a channel, which is public. With it the page asks for a visitor token of a new anonymous
//! visitor. The installation's secret signs both, each for an audience of its own.

use std::{fmt, time::Duration};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    caller::{Actor, Caller, CallerKind},
    installation_secret::InstallationSecret,
    token::TokenError,
};

/// Beginning of the ids of anonymous visitors. Those of other visitors begin with the scope of their key, a UUID.
pub(crate) const ANONYMOUS_PREFIX: &str = "anonymous:";
/// Audience of widget tokens.
const WIDGET: &str = "frontdesk-widget";
/// Audience of anonymous visitors' tokens.
const VISITOR: &str = "frontdesk-anonymous-visitor";
/// How long an anonymous visitor's token is valid. The widget keeps it, like a cookie.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
/// Age of a token from which on the widget renews it.
const RENEWAL_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// When widget tokens expire, in microseconds since 1970: in the year 2100, so that the token of a channel stays the same.
const WIDGET_EXPIRY: Time = Time(4_102_444_800_000_000);

/// What a widget token says. Stored in pages: add, never rename.
#[derive(Debug, Deserialize, Serialize)]
struct WidgetClaims {
    account: AccountId,
    channel: Uuid,
}

/// An anonymous visitor of a channel, as their token names them. Stored by widgets: add, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct AnonymousVisitor {
    /// The account.
    pub account: AccountId,
    /// The channel on which they chat.
    pub channel: Uuid,
    /// Their number within the channel.
    #[serde(rename = "visitor")]
    pub id: Uuid,
}

/// A token of an anonymous visitor.
#[derive(Clone, Debug)]
pub struct AnonymousToken {
    /// The token.
    pub token: String,
    /// From when on the widget should renew it.
    pub renew_at: Time,
    /// When it expires.
    pub expires_at: Time,
}

/// The id of the visitor, as callers and conversations have it.
impl fmt::Display for AnonymousVisitor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{ANONYMOUS_PREFIX}{}/{}", self.channel, self.id)
    }
}

impl AnonymousVisitor {
    /// A token for the visitor, valid from now on.
    pub fn token(&self, secret: &InstallationSecret) -> Result<AnonymousToken, TokenError> {
        let now = secret.clock().now();
        let (renew_at, expires_at) = (now.plus(RENEWAL_AGE), now.plus(LIFETIME));
        Ok(AnonymousToken { token: secret.sign_until(VISITOR, expires_at, self)?, renew_at, expires_at })
    }

    /// The visitor whom a token names that has not expired.
    pub fn from_token(token: &str, secret: &InstallationSecret) -> Result<Self, TokenError> {
        secret.verify(token, VISITOR)
    }
}

impl InstallationSecret {
    /// The widget token of a channel: the same until the installation's secret is replaced.
    pub fn widget_token(&self, account: AccountId, channel: Uuid) -> Result<String, TokenError> {
        self.sign_until(WIDGET, WIDGET_EXPIRY, &WidgetClaims { account, channel })
    }
}

/// The widget or the anonymous visitor that a token names.
pub(crate) fn verify(token: &str, secret: &InstallationSecret) -> Result<Caller, TokenError> {
    if let Ok((WidgetClaims { account, channel }, expires_at)) = secret.verify_with_expiry(token, WIDGET) {
        return Ok(caller(account, channel, CallerKind::Widget, channel.to_string(), expires_at));
    }
    let (visitor, expires_at) = secret.verify_with_expiry::<AnonymousVisitor>(token, VISITOR)?;
    Ok(caller(visitor.account, visitor.channel, CallerKind::Visitor, visitor.to_string(), expires_at))
}

fn caller(account: AccountId, channel: Uuid, kind: CallerKind, id: String, expires_at: Time) -> Caller {
    Caller {
        account,
        kind,
        actor: Actor { kind, id },
        name: None,
        email: None,
        permissions: Default::default(),
        scope: Some(channel),
        ends: Some(expires_at),
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_clock::Clock;
    use frontdesk_settings::Secret;

    use super::*;

    #[test]
    fn s6_a_token_names_a_widget_or_a_visitor_and_neither_passes_for_the_other() {
        let clock = Clock::system();
        let installation = |character: char| Secret::from(character.to_string().repeat(48));
        let secret = InstallationSecret::try_new(&installation('a'), &Secret::default(), &clock).unwrap();
        let (account, channel) = (AccountId(Uuid::from_u128(1)), Uuid::from_u128(2));
        let widget = secret.widget_token(account, channel).unwrap();
        assert_eq!(secret.widget_token(account, channel).unwrap(), widget, "it stays the same");
        let visitor = AnonymousVisitor { account, channel, id: Uuid::from_u128(3) };
        let AnonymousToken { token, expires_at, .. } = visitor.token(&secret).unwrap();

        let page = verify(&widget, &secret).unwrap();
        assert_eq!(
            (page.kind, page.scope, page.actor.id.clone()),
            (CallerKind::Widget, Some(channel), channel.to_string())
        );
        let caller = verify(&token, &secret).unwrap();
        assert!(caller.is_anonymous_visitor() && !page.is_anonymous_visitor());
        assert_eq!((caller.kind, caller.actor.id), (CallerKind::Visitor, visitor.to_string()));
        assert_eq!(caller.ends, Some(Time(expires_at.0 / 1_000_000 * 1_000_000)));
        assert_eq!(AnonymousVisitor::from_token(&token, &secret).unwrap(), visitor);

        assert!(AnonymousVisitor::from_token(&widget, &secret).is_err());
        let page_token = secret.sign("page", LIFETIME, &visitor).unwrap();
        assert!(verify(&page_token, &secret).is_err() && AnonymousVisitor::from_token(&page_token, &secret).is_err());
        let other = InstallationSecret::try_new(&installation('b'), &Secret::default(), &clock).unwrap();
        assert!(verify(&token, &other).is_err() && verify(&widget, &other).is_err());
        clock.advance(LIFETIME + Duration::from_secs(1)).unwrap();
        assert!(verify(&token, &secret).is_err(), "it has expired");
        assert!(verify(&widget, &secret).is_ok());
    }
}
