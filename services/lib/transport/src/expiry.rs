//! When certificates expire: read from their files, reported as a metric, and logged from 30 days before on.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use frontdesk_clock::{Clock, Time};
use opentelemetry::KeyValue;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::Tls;

/// Time before the end of a certificate's validity from which it is reported (30 days).
pub const EXPIRES_SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// A file with certificates, and when the first of them expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The file.
    pub path: PathBuf,
    /// When the validity of the first certificate ends.
    pub at: Time,
}

impl Expiry {
    /// That of a file in PEM. The error says why the file cannot be read.
    pub fn of_file(path: &Path) -> Result<Self, String> {
        let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let certificates = certificates.map_err(|error| format!("it holds no certificates in PEM ({error})"))?;
        Self::of(path, &certificates).ok_or_else(|| "it holds no certificate".into())
    }

    /// That of the certificates in a file. None: there is none that can be read.
    pub(crate) fn of(path: &Path, certificates: &[CertificateDer<'_>]) -> Option<Self> {
        let at = certificates.iter().filter_map(|certificate| frontdesk_auth::not_after(certificate)).min()?;
        Some(Self { path: path.to_owned(), at })
    }

    /// Number of whole days that are left at this time. None: it has expired.
    pub fn days_left(&self, now: Time) -> Option<u64> {
        (self.at > now).then(|| self.at.since(now).as_secs() / (24 * 3600))
    }

    /// Logs that it has expired, or will within [`EXPIRES_SOON`].
    fn log(&self, now: Time) {
        let (path, at) = (self.path.display(), self.at.to_utc().to_rfc3339());
        match self.days_left(now) {
            None => tracing::error!(%path, at, "a certificate has expired"),
            Some(days) if self.at <= now.plus(EXPIRES_SOON) => {
                tracing::warn!(%path, at, days, "a certificate expires soon");
            }
            Some(_) => {}
        }
    }
}

impl Tls {
    /// Logs which certificates have expired, or will soon.
    pub(crate) fn log_expiries(&self) {
        let now = Clock::system().now();
        self.expiries().iter().for_each(|expiry| expiry.log(now));
    }

    /// Starts the metric of the time that is left until each certificate expires.
    pub(crate) fn observe_expiries(&self) {
        let shared = self.downgrade();
        let _observed = frontdesk_telemetry::meter()
            .i64_observable_gauge("frontdesk.certificate.remaining")
            .with_unit("s")
            .with_description("Time until the first certificate of a file expires; negative after it")
            .with_callback(move |observer| {
                let now = Clock::system().now();
                // None after the listener has ended.
                for expiry in Tls::upgrade(&shared).iter().flat_map(Tls::expiries) {
                    let seconds = (expiry.at.0 - now.0) / 1_000_000;
                    observer.observe(seconds, &[KeyValue::new("path", expiry.path.display().to_string())]);
                }
            })
            .build();
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// 2030-06-30.
    const AT: Time = Time(1_909_008_000_000_000);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn a_file_expires_with_the_first_of_its_certificates() {
        let certificate = |year| {
            let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
            params.not_after = date_time_ymd(year, 6, 30);
            params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chain.pem");
        std::fs::write(&file, [2040, 2030, 2035].map(certificate).concat()).unwrap();
        assert_eq!(Expiry::of_file(&file), Ok(Expiry { path: file.clone(), at: AT }));
        std::fs::write(&file, "").unwrap();
        assert_eq!(Expiry::of_file(&file), Err("it holds no certificate".into()));
        assert!(Expiry::of_file(&folder.path().join("absent")).is_err());
    }

    #[test]
    fn the_metric_has_the_time_until_the_certificates_of_a_file_expire() {
        let folder = tempfile::tempdir().unwrap();
        let [certificate_path, key_path] = ["own.pem", "own.key"].map(|name| folder.path().join(name));
        let (params, key) = (CertificateParams::new(vec!["localhost".into()]).unwrap(), KeyPair::generate().unwrap());
        std::fs::write(&certificate_path, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&key_path, key.serialize_pem()).unwrap();
        let tls = Tls::load_for_browsers(certificate_path.clone(), key_path).unwrap();
        tls.observe_expiries();
        let (text, path) = (frontdesk_telemetry::metrics_text(), certificate_path.display().to_string());
        let metric = "frontdesk_certificate_remaining_seconds{";
        let line = text.lines().find(|line| line.starts_with(metric) && line.contains(&path));
        let seconds = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        assert!(seconds.is_some_and(|seconds| seconds > 365.0 * 24.0 * 3600.0), "{text}");
    }

    #[test]
    fn days_are_counted_until_the_expiry() {
        let expiry = Expiry { path: PathBuf::new(), at: AT };
        for (before, days) in [(DAY * 30, Some(30)), (DAY - Duration::from_secs(1), Some(0))] {
            assert_eq!(expiry.days_left(AT.minus(before)), days);
        }
        assert_eq!((expiry.days_left(AT), expiry.days_left(AT.plus(DAY))), (None, None));
    }
}
