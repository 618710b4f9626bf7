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
        Self { address: address.to_string(), why: why.to_owned() }
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

    /// Gives the picker the replicas that there are now; those that it knew keep their connections. When a name cannot be resolved,
    /// nothing changes.
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
    uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.port_u16().is_some())
        .ok_or_else(|| PeerError::new(address, "it must be like http://host:port or https://host:port"))
}
