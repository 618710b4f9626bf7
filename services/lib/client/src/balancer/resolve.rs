//! Resolves the addresses of a service to its replicas.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use frontdesk_transport::Tls;
use http::Uri;
use tonic::transport::Channel;

use super::{pick::Picker, replica::Replica};

/// Time limit of one name resolution.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);

/// An invalid address of a service.
#[derive(Debug, thiserror::Error)]
#[error("the address {address} of a service is wrong: {why}")]
pub struct PeerError {
    address: String,
    why: String,
}

impl PeerError {
    fn new(address: impl ToString, why: &str) -> Self {
        Self { address: frontdesk_settings::without_credentials(&address.to_string()), why: why.to_owned() }
    }
}

/// The configured addresses of a service.
pub(super) struct Resolver {
    hosts: Vec<Uri>,
    tls: Option<Tls>,
}

impl Resolver {
    pub(super) fn try_new(addresses: &str, tls: Option<&Tls>) -> Result<Self, PeerError> {
        Ok(Self { hosts: parse_addresses(addresses, tls.is_some())?, tls: tls.cloned() })
    }

    /// Replaces the picker's replicas by those that the names resolve to; known replicas keep their connections. When a name cannot be
    /// resolved, nothing changes.
    pub(super) async fn resolve(&self, picker: &Picker<Channel>) {
        let mut replicas: Vec<Arc<Replica<Channel>>> = Vec::new();
        for host in &self.hosts {
            let Some(addresses) = lookup(host).await else {
                tracing::warn!(%host, "the name of a service cannot be resolved");
                return;
            };
            for address in addresses {
                if replicas.iter().all(|replica| replica.address != address) {
                    let known = picker.find(address);
                    replicas.push(
                        known.unwrap_or_else(|| Arc::new(Replica::connect_lazy(address, host, self.tls.as_ref()))),
                    );
                }
            }
        }
        picker.replace(replicas);
    }
}

async fn lookup(host: &Uri) -> Option<Vec<SocketAddr>> {
    let (name, port) = (host.host().unwrap_or_default(), host.port_u16().unwrap_or(80));
    let found = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((name, port))).await;
    Some(found.ok()?.ok()?.collect())
}

/// Parses addresses that are separated by commas: all http, or all https and then with certificates.
fn parse_addresses(addresses: &str, has_tls: bool) -> Result<Vec<Uri>, PeerError> {
    let hosts = addresses.split(',').map(|address| parse_address(address.trim())).collect::<Result<Vec<_>, _>>()?;
    if hosts.iter().any(|host| host.scheme() != hosts[0].scheme()) {
        return Err(PeerError::new(addresses, "all replicas of a service must be https, or none"));
    }
    match hosts.iter().find(|host| host.scheme_str() == Some("https") && !has_tls) {
        Some(host) => Err(PeerError::new(host, "it needs tls.certificate_path, tls.key_path and tls.ca_path")),
        None => Ok(hosts),
    }
}

fn parse_address(address: &str) -> Result<Uri, PeerError> {
    let uri = address.parse::<Uri>().ok();
    let has_credentials = |uri: &Uri| uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.port_u16().is_some())
        .filter(|uri| !has_credentials(uri))
        .ok_or_else(|| PeerError::new(address, "it must be like http://host:port or https://host:port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_http_or_https_with_a_port_and_all_of_one_kind() {
        let parse = |addresses: &str, has_tls| {
            let hosts = parse_addresses(addresses, has_tls).map_err(|error| error.to_string())?;
            Ok::<_, String>(hosts.iter().map(Uri::to_string).collect::<Vec<_>>())
        };
        assert_eq!(parse("http://a:1, http://[::1]:2", false).unwrap(), ["http://a:1/", "http://[::1]:2/"]);
        assert_eq!(parse("https://a:1", true).unwrap(), ["https://a:1/"]);
        for (addresses, has_tls, why) in [
            ("", false, "http://host:port"),
            ("a:1", false, "http://host:port"),
            ("http://a", false, "http://host:port"),
            ("ftp://a:1", false, "http://host:port"),
            ("http://a:1,", false, "http://host:port"),
            ("http://ada:s3cret@a:1", false, "http://host:port"),
            ("http://a:1,https://b:1", true, "must be https, or none"),
            ("https://a:1", false, "tls.certificate_path"),
        ] {
            let error = parse(addresses, has_tls).unwrap_err();
            assert!(error.contains(why) && !error.contains("s3cret"), "{addresses}: {error}");
        }
    }

    #[tokio::test]
    async fn a_known_replica_keeps_its_connection_when_its_name_is_resolved_again() {
        let (resolver, picker) =
            (Resolver::try_new("http://127.0.0.1:1,http://127.0.0.2:1", None).unwrap(), Picker::default());
        resolver.resolve(&picker).await;
        let (first, second) = (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([127, 0, 0, 2], 1)));
        let known = picker.find(first).unwrap();
        assert!(picker.find(second).is_some());
        // Twice the same address, and one less.
        Resolver::try_new("http://127.0.0.1:1,http://127.0.0.1:1", None).unwrap().resolve(&picker).await;
        assert!(Arc::ptr_eq(&known, &picker.find(first).unwrap()) && picker.find(second).is_none());
        let gone = picker.pick(&[first]);
        assert!(gone.is_none(), "an address is one replica");
    }
}
