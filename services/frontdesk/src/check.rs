//! Settings that a process refuses to start with, checked before it opens anything.

use crate::{ServerError, Service, Settings};

/// Fails with the first setting that cannot work.
pub(crate) fn check(settings: &Settings, services: &[Service]) -> Result<(), ServerError> {
    let (identity, tls) = (&settings.identity, &settings.tls);
    if !settings.listen.ip().is_loopback() {
        if identity.issuers.is_empty() {
            return Err(ServerError::NoIssuer(settings.listen));
        }
        if identity.accepts_development_key() {
            return Err(ServerError::DevelopmentKey(settings.listen));
        }
        if !tls.is_on() && !tls.terminated_outside {
            return Err(ServerError::NoTls(settings.listen));
        }
    }
    settings.limits.check()?;
    if !identity.accepts_development_key() && identity.secret.is_empty() {
        return Err(ServerError::NoSecret);
    }
    if !settings.is_distributed() {
        return match services {
            [alone] => Err(ServerError::NoBroker(alone.name())),
            _ => Ok(()),
        };
    }
    for service in services {
        if !settings.database(*service).url.0.starts_with("postgres") {
            return Err(ServerError::NotShared(service.setting()));
        }
        for other in service.calls().filter(|other| !services.contains(other)) {
            let addresses = settings.peers.get(other);
            if addresses.is_empty() {
                return Err(ServerError::NoPeer(other.setting()));
            }
            let plain = addresses.split(',').any(|address| !address.trim().starts_with("https://"));
            if !identity.accepts_development_key() && (plain || !tls.is_mutual()) {
                return Err(ServerError::NotMutual(other.setting()));
            }
        }
    }
    Ok(())
}
