//! What a certificate says: its service, its host names and its period of validity.

use std::net::IpAddr;

use frontdesk_clock::Time;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

/// Checks that this certificate (DER) is valid now. The error names its period of validity.
pub fn check_validity(certificate: &[u8]) -> Result<(), String> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let times = certificate.validity();
    if times.is_valid() { Ok(()) } else { Err(format!("it is valid from {} to {}", times.not_before, times.not_after)) }
}

/// When the validity of this certificate (DER) ends. None: it cannot be read.
pub fn not_after(certificate: &[u8]) -> Option<Time> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(Time(certificate.validity().not_after.timestamp().saturating_mul(1_000_000)))
}

/// A host name or address for which this certificate (DER) is valid. None: it has none.
pub fn host_name(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        // Any name is one of those that a wildcard stands for.
        GeneralName::DNSName(name) => Some(name.replacen('*', "any", 1)),
        GeneralName::IPAddress(bytes) => ip_address(bytes),
        _ => None,
    })
}

fn ip_address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let address = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    address.ok().map(|address| address.to_string())
}

/// The service that this certificate (DER, already verified) names: its one URI `spiffe://<trust domain>/<service>`.
/// None: it names no service of this trust domain.
pub fn service_name(certificate: &[u8], trust_domain: &str) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    // With more than one URI the service would be ambiguous.
    let (Some(uri), None) = (uris.next(), uris.next()) else { return None };
    let service = uri.strip_prefix("spiffe://")?.strip_prefix(trust_domain)?.strip_prefix('/')?;
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (!trust_domain.is_empty() && !service.is_empty() && service.bytes().all(is_allowed)).then(|| service.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(uris: &[&str]) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["conversation".into()]).unwrap();
        for uri in uris {
            params.subject_alt_names.push(rcgen::SanType::URI(uri.to_string().try_into().unwrap()));
        }
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn s5_the_one_uri_of_a_certificate_names_the_service() {
        let name = |uris: &[&str]| service_name(&certificate(uris), "frontdesk.example");
        assert_eq!(name(&["spiffe://frontdesk.example/assignment"]).as_deref(), Some("assignment"));
        for refused in [
            &[][..],
            &["spiffe://frontdesk.example/a", "spiffe://frontdesk.example/b"],
            &["spiffe://frontdesk.example"],
            &["spiffe://frontdesk.example/"],
            &["spiffe://frontdesk.example.evil/assignment"],
            &["spiffe://evil/frontdesk.example/assignment"],
            &["spiffe://frontdesk.example/ns/x/assignment"],
            &["https://frontdesk.example/assignment"],
        ] {
            assert_eq!(name(refused), None, "{refused:?}");
        }
        assert_eq!(service_name(b"no certificate", "frontdesk.example"), None);
        assert_eq!(service_name(&certificate(&["spiffe:///assignment"]), ""), None);
    }

    #[test]
    fn a_certificate_says_its_host_and_when_its_validity_ends() {
        let certificate = |name: &str| {
            let mut params = rcgen::CertificateParams::new(vec![name.into()]).unwrap();
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
            params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
        };
        assert_eq!(not_after(&certificate("assignment")), Some(Time(1_577_836_800_000_000)));
        for (name, host) in [("assignment", "assignment"), ("*.chat.example", "any.chat.example"), ("::1", "::1")] {
            assert_eq!(host_name(&certificate(name)).as_deref(), Some(host));
        }
        assert_eq!((not_after(b"no certificate"), host_name(b"no certificate")), (None, None));
    }
}
