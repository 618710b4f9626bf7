//! Which addresses an endpoint may have.

use std::net::IpAddr;

use url::{Host, Url};

use super::ReceiverNetworks;

/// Checks the address of an endpoint: returns it in its normal form, or what it must be. `allow_http`: http is enough. The addresses that its
/// host resolves to are checked with each connection.
pub(crate) fn check_url(text: &str, networks: &ReceiverNetworks, allow_http: bool) -> Result<String, &'static str> {
    const FORM: &str = "must be an https address with a host, without user name, password and fragment";
    let url = Url::parse(text).map_err(|_| FORM)?;
    let has_scheme = url.scheme() == "https" || (url.scheme() == "http" && allow_http);
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if !has_scheme || !is_plain {
        return Err(FORM);
    }
    match literal(&url) {
        Some(address) if !networks.allow(address) => {
            Err("must not have a private, loopback or link-local address as its host")
        }
        _ => Ok(url.into()),
    }
}

/// Returns the host, if it is an IP address, in any of its spellings.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, allow_http: bool) -> Result<String, &'static str> {
        check_url(text, &ReceiverNetworks::try_new(&[], &[]).unwrap(), allow_http)
    }

    #[test]
    fn s4_an_endpoint_has_a_plain_https_address_with_a_public_host() {
        for good in ["https://hooks.example/a?b=c", "https://hooks.example:8443/", "https://1.1.1.1/"] {
            assert_eq!(check(good, false).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "hooks.example",
            "http://hooks.example/",
            "ftp://hooks.example/",
            "file:///etc/passwd",
            "https://",
            "https://user@hooks.example/",
            "https://:password@hooks.example/",
            "https://hooks.example/#part",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://169.254.169.254/latest/meta-data",
        ] {
            assert!(check(bad, false).is_err(), "{bad}");
        }
        assert!(check("http://hooks.example/", true).is_ok() && check("http://10.0.0.1/", true).is_err());
    }
}
