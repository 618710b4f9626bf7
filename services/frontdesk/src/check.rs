//! Settings that a process refuses to start with, checked before it opens anything.

use crate::{ServerError, Service, Settings, bounds, error::Listener};

/// Fails with the first setting that cannot work.
pub(crate) fn check(settings: &Settings, services: &[Service]) -> Result<(), ServerError> {
    let (identity, tls, web) = (&settings.identity, &settings.tls, &settings.web);
    check_address(settings, Listener { setting: "listen", address: settings.listen }, tls.is_on())?;
    if let Some(address) = web.address() {
        check_address(settings, Listener { setting: "web.listen", address }, tls.is_on() || web.has_certificate())?;
    }
    web.check()?;
    settings.limits.check()?;
    bounds::check(settings)?;
    if !identity.accepts_development_key() && identity.secret.is_empty() {
        return Err(ServerError::NoSecret);
    }
    if !settings.is_distributed() {
        return match services {
            [alone] => Err(ServerError::NoBroker(alone.name())),
            _ => Ok(()),
        };
    }
    let has_public_url = settings.web.public_url.as_ref().is_some_and(|url| !url.is_empty());
    if services.contains(&Service::Conversation) && has_public_url && !settings.attachments.are_shared() {
        return Err(ServerError::AttachmentsNotShared);
    }
    for service in services {
        let url = settings.database(*service).url;
        if url.0.starts_with("sqlite:") {
            return Err(ServerError::NotShared(service.setting()));
        }
        url.check().map_err(|source| ServerError::DatabaseAddress { setting: service.setting(), source })?;
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

/// Fails when a listener can be reached from other machines, but not safely.
fn check_address(settings: &Settings, listener: Listener, has_certificate: bool) -> Result<(), ServerError> {
    let (identity, tls) = (&settings.identity, &settings.tls);
    if listener.address.ip().is_loopback() {
        return Ok(());
    }
    if identity.issuers.is_empty() {
        return Err(ServerError::NoIssuer(listener));
    }
    if identity.accepts_development_key() {
        return Err(ServerError::DevelopmentKey(listener));
    }
    if !has_certificate && !tls.terminated_outside {
        return Err(ServerError::NoTls(listener));
    }
    Ok(())
}
