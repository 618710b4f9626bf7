//! What a certificate says: whose it is, and for how long.

use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

/// Is this certificate (DER) within its time? Otherwise its times.
pub fn within_its_time(certificate: &[u8]) -> Result<(), String> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let times = certificate.validity();
    if times.is_valid() { Ok(()) } else { Err(format!("it is valid from {} to {}", times.not_before, times.not_after)) }
}

/// The service that this certificate (DER, already verified) names: its one URI `spiffe://<trust domain>/<service>`.
/// None: it names none of this trust domain.
pub fn service_of(certificate: &[u8], trust_domain: &str) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    // More than one would leave open who it is.
    let (Some(uri), None) = (uris.next(), uris.next()) else { return None };
    let service = uri.strip_prefix("spiffe://")?.strip_prefix(trust_domain)?.strip_prefix('/')?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (!trust_domain.is_empty() && !service.is_empty() && service.bytes().all(fits)).then(|| service.to_owned())
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
    fn s5_a_service_is_named_by_the_one_uri_of_its_certificate() {
        let name = |uris: &[&str]| service_of(&certificate(uris), "frontdesk.example");
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
        assert_eq!(service_of(b"no certificate", "frontdesk.example"), None);
        assert_eq!(service_of(&certificate(&["spiffe:///assignment"]), ""), None);
    }
}
