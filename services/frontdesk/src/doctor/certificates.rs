//! The certificates of all connections: they fit their keys, name the service, are accepted by the other services, and do not expire soon.

use std::path::{Path, PathBuf};

use frontdesk_clock::{Clock, Time};
use frontdesk_transport::{EXPIRES_SOON, Expiry, Tls};

use super::Finding;
use crate::{Service, Settings};

/// What to do about a certificate that expires.
const RENEW: &str = "replace the file; it is read again without a restart where docs/operations.md says so";

pub(super) async fn check(settings: &Settings, services: &[Service], clock: &Clock) -> Vec<Finding> {
    let now = clock.now().minus(clock.offset());
    let mut findings = check_own(settings, now).await;
    match settings.web.has_certificate().then(|| settings.web.tls(&settings.tls)) {
        Some(Ok(tls)) => findings.extend(expiries("web", tls.as_ref(), now)),
        Some(Err(error)) => findings.push(refused("web", error.to_string())),
        None => {}
    }
    for (setting, path) in authorities(settings, services) {
        findings.push(match Expiry::of_file(&path) {
            Ok(expiry) => check_expiry(&setting, &expiry, now),
            Err(error) => {
                let subject = format!("{setting} = {}", path.display());
                Finding::failure(subject, error, "name a readable file with certificates in PEM")
            }
        });
    }
    if findings.is_empty() {
        findings.push(Finding::skipped("certificates", "the settings name none"));
    }
    findings
}

/// Those of this process, for its listener and for calls to the other services.
async fn check_own(settings: &Settings, now: Time) -> Vec<Finding> {
    let tls = match Tls::load(&settings.tls) {
        Ok(Some(tls)) => tls,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![refused("tls", error.to_string())],
    };
    let mut findings = expiries("tls", Some(&tls), now);
    if settings.tls.is_mutual() {
        let subject = format!("tls.certificate_path = {}", settings.tls.certificate_path.display());
        findings.push(match tls.check_as_peer().await {
            Ok(()) => Finding::ok(subject, format!("the services of spiffe://{} accept it", settings.tls.trust_domain)),
            Err(error) => {
                let remedy = "it must be signed by an authority in tls.ca_path, with the host name of peers and, if its usage is \
                              restricted, for servers and clients";
                Finding::failure(subject, format!("the other services refuse it: {error}"), remedy)
            }
        });
    }
    findings
}

fn refused(section: &str, error: String) -> Finding {
    Finding::failure(section, error, "a process does not start with it, and one that runs keeps the certificate before")
}

fn expiries(section: &str, tls: Option<&Tls>, now: Time) -> Vec<Finding> {
    let all = tls.map_or_else(Vec::new, Tls::expiries);
    all.iter().map(|expiry| check_expiry(section, expiry, now)).collect()
}

fn check_expiry(setting: &str, expiry: &Expiry, now: Time) -> Finding {
    let subject = format!("{setting}, {}", expiry.path.display());
    let at = expiry.at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    match expiry.days_left(now) {
        None => Finding::failure(subject, format!("a certificate expired at {at}"), RENEW),
        Some(days) if expiry.at <= now.plus(EXPIRES_SOON) => {
            Finding::warning(subject, format!("a certificate expires at {at}, in {days} days"), RENEW)
        }
        Some(days) => Finding::ok(subject, format!("the first certificate expires at {at}, in {days} days")),
    }
}

/// The files of the other connections: setting and path.
fn authorities(settings: &Settings, services: &[Service]) -> Vec<(String, PathBuf)> {
    let of_databases = services.iter().flat_map(|service| {
        let paths = settings.database(*service).url.certificate_paths().into_iter();
        paths.map(|(parameter, path)| (format!("databases.{}.url, {parameter}", service.setting()), path))
    });
    let named = |setting: &str, path: &Path| (setting.to_owned(), path.to_owned());
    let of_issuers = settings.identity.issuers.iter().map(|issuer| named("identity.issuers.ca_path", &issuer.ca_path));
    let others = [
        named("bus.ca_path", Path::new(&settings.bus.ca_path)),
        named("notification.smtp.ca_path", Path::new(&settings.notification.smtp.ca_path)),
        named("attachments.s3.ca_path", Path::new(&settings.attachments.s3.ca_path)),
    ];
    let all = of_databases.chain(of_issuers).chain(others);
    all.filter(|(_, path)| !path.as_os_str().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn a_certificate_is_reported_from_30_days_before_its_end() {
        let at = Time(1_900_000_000_000_000);
        let expiry = Expiry { path: "own.pem".into(), at };
        let day = std::time::Duration::from_secs(24 * 3600);
        for (now, state) in [
            (at.minus(day * 31), State::Ok),
            (at.minus(day * 30), State::Warning),
            (at.minus(day), State::Warning),
            (at, State::Failure),
            (at.plus(day), State::Failure),
        ] {
            assert_eq!(check_expiry("tls", &expiry, now).state, state);
        }
    }
}
