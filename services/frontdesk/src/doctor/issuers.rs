//! The issuers of tokens: their key sets can be read, and have keys that can be used.

use frontdesk_auth::{IdentityError, IssuerKeys, inspect_issuer};
use frontdesk_clock::{Clock, Time};

use super::Finding;
use crate::Settings;

/// What an issuer answered.
pub(super) struct Issuer {
    pub(super) subject: String,
    pub(super) keys: Result<IssuerKeys, IdentityError>,
    /// When the answer had arrived, by the clock of this machine.
    pub(super) at: Time,
}

/// Reads the key sets of all issuers. Each has 5 seconds.
pub(super) async fn read(settings: &Settings, clock: &Clock) -> Vec<Issuer> {
    let mut issuers = Vec::new();
    for issuer in &settings.identity.issuers {
        let keys = inspect_issuer(issuer).await;
        let subject = format!("identity.issuers, {:?}", issuer.issuer);
        issuers.push(Issuer { subject, keys, at: clock.now().minus(clock.offset()) });
    }
    issuers
}

pub(super) fn check(issuers: &[Issuer]) -> Vec<Finding> {
    if issuers.is_empty() {
        let reason = "there are none: the development key identifies callers, on loopback addresses";
        return vec![Finding::skipped("identity.issuers", reason)];
    }
    let finding = |issuer: &Issuer| match &issuer.keys {
        Ok(IssuerKeys { usable, ignored, .. }) => {
            Finding::ok(&issuer.subject, format!("usable keys: {usable}, ignored: {ignored}"))
        }
        Err(error) => {
            let remedy = "restore it, or name a file with its keys in jwks; without keys its callers get UNAVAILABLE";
            Finding::failure(&issuer.subject, error.to_string(), remedy)
        }
    };
    issuers.iter().map(finding).collect()
}
