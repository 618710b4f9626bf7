//! What settings cannot start with: found before anything is opened.

use crate::{Service, Settings, SuiteError};

/// The first setting that cannot work.
pub(crate) fn check(settings: &Settings, services: &[Service]) -> Result<(), SuiteError> {
    let (identity, tls) = (&settings.identity, &settings.tls);
    if !settings.listen.ip().is_loopback() {
        if identity.issuers.is_empty() {
            return Err(SuiteError::NoIssuer(settings.listen));
        }
        if identity.accepts_development_key() {
            return Err(SuiteError::DevelopmentKey(settings.listen));
        }
        if !tls.is_on() && !tls.terminated_outside {
            return Err(SuiteError::NoTls(settings.listen));
        }
    }
    settings.limits.check()?;
    if !identity.accepts_development_key() && identity.secret.is_empty() {
        return Err(SuiteError::NoSecret);
    }
    if !settings.is_distributed() {
        return match services {
            [alone] => Err(SuiteError::NoBroker(alone.name())),
            _ => Ok(()),
        };
    }
    for service in services {
        if !settings.database(*service).url.0.starts_with("postgres") {
            return Err(SuiteError::NotShared(service.setting()));
        }
        let elsewhere = service.calls().iter().filter(|other| !services.contains(other));
        for other in elsewhere {
            if settings.peer(*other).is_empty() {
                return Err(SuiteError::NoPeer(other.setting()));
            }
            let plain = settings.peer(*other).split(',').any(|address| !address.trim().starts_with("https://"));
            if !identity.accepts_development_key() && (plain || !tls.is_mutual()) {
                return Err(SuiteError::NotMutual(other.setting()));
            }
        }
    }
    Ok(())
}
