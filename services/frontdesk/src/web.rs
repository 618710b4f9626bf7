//! The listener for browsers: its settings, and which of them cannot work.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use axum::Router;
use frontdesk_proto::conversation::v1::visitor_service_server;
use frontdesk_server::{AllowedOrigins, OriginError, WebListener};
use frontdesk_transport::{Tls, TlsError, TlsSettings};
use http::Uri;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::{Service, reflection::INTERNAL};

/// Address of the listener in embedded development, where no setting names another.
const DEVELOPMENT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7780);
/// Parts of the names of services that are never served to browsers.
const NEVER_SERVED: [&str; 4] = [INTERNAL, "frontdesk.dev.", "grpc.reflection.", "grpc.health."];

/// The listener for browsers, with gRPC-Web.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSettings {
    /// Address of the listener. An address beyond loopback needs an issuer and TLS. Empty: it is not served. Unset: 127.0.0.1:7780 in
    /// embedded mode with the development key, else not served.
    #[serde(with = "frontdesk_settings::address::unset", skip_serializing_if = "Option::is_none")]
    pub listen: Option<Option<SocketAddr>>,
    /// Full names of the gRPC services that browsers may call.
    #[serde(deserialize_with = "frontdesk_settings::list::deserialize")]
    pub services: Vec<String>,
    /// Origins of the pages that may call, such as `https://shop.example`, or `*` alone for every page. Unset: `*` in embedded mode
    /// with the development key, else none.
    #[serde(deserialize_with = "frontdesk_settings::list::deserialize", skip_serializing_if = "Option::is_none")]
    pub allowed_origins: Option<Vec<String>>,
    /// Where browsers reach the listener, such as `https://chat.example`: an http or https address, which may have a path, without a slash at
    /// the end. Uploads and links of attachments begin with it. Empty: nothing can be attached. Unset: the listener's own address in
    /// embedded mode with the development key, else empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Its certificate with the chain (PEM). Empty: that of `tls`.
    pub certificate_path: PathBuf,
    /// The private key of that certificate (PEM).
    pub key_path: PathBuf,
}

impl Default for WebSettings {
    fn default() -> Self {
        Self {
            listen: None,
            services: vec![visitor_service_server::SERVICE_NAME.to_owned()],
            allowed_origins: None,
            public_url: None,
            certificate_path: PathBuf::new(),
            key_path: PathBuf::new(),
        }
    }
}

/// A setting of the listener for browsers that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// A service that is never served to browsers.
    #[error(
        "web.services has {0:?}, which is never served to browsers: calls between Frontdesk's own services, reflection, health and development services stay on `listen`"
    )]
    NeverServed(String),
    /// No such service.
    #[error("web.services has {name:?}, which is no service of Frontdesk; the services are: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// Names of the services that exist.
        known: String,
    },
    /// A text that is no origin.
    #[error("web.allowed_origins: {0}")]
    Origin(#[from] OriginError),
    /// A text that is no address.
    #[error(
        "web.public_url = {0:?}: it must be an http or https address without a query and without a slash at the end, such as https://chat.example"
    )]
    PublicUrl(String),
}

impl WebSettings {
    /// Sets what is unset, for a process in embedded mode with the development key or for any other.
    pub(crate) fn set_defaults(&mut self, embedded_development: bool) {
        self.listen.get_or_insert(embedded_development.then_some(DEVELOPMENT_LISTEN));
        self.allowed_origins
            .get_or_insert_with(|| if embedded_development { vec!["*".to_owned()] } else { Vec::new() });
        if self.public_url.is_none() && embedded_development {
            self.public_url = self.address().map(|address| format!("http://{address}"));
        }
    }

    /// The address of the listener, where it is served.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.flatten()
    }

    /// Whether a certificate of its own is set.
    pub(crate) fn has_certificate(&self) -> bool {
        [&self.certificate_path, &self.key_path].iter().any(|path| !path.as_os_str().is_empty())
    }

    /// Fails with the first value that cannot work.
    pub(crate) fn check(&self) -> Result<(), WebError> {
        let known: Vec<&str> = services(&Service::ALL).filter(|name| !name.contains(INTERNAL)).collect();
        for name in &self.services {
            if NEVER_SERVED.iter().any(|part| name.contains(part)) {
                return Err(WebError::NeverServed(name.clone()));
            }
            if !known.contains(&name.as_str()) {
                return Err(WebError::Unknown { name: name.clone(), known: known.join(", ") });
            }
        }
        if let Some(url) = self.public_url.as_deref().filter(|url| !is_public_url(url)) {
            return Err(WebError::PublicUrl(url.to_owned()));
        }
        self.origins().map(drop)
    }

    fn origins(&self) -> Result<AllowedOrigins, WebError> {
        Ok(AllowedOrigins::try_new(self.allowed_origins.as_deref().unwrap_or_default())?)
    }

    /// Its certificate. None: no TLS.
    pub(crate) fn tls(&self, of_process: &TlsSettings) -> Result<Option<Tls>, TlsError> {
        if self.has_certificate() {
            let tls = Tls::load_for_browsers(self.certificate_path.clone(), self.key_path.clone());
            return tls.map(Some).map_err(|error| error.in_section("web"));
        }
        let TlsSettings { certificate_path, key_path, .. } = of_process;
        of_process.is_on().then(|| Tls::load_for_browsers(certificate_path.clone(), key_path.clone())).transpose()
    }

    /// Those of its services that a process with these services serves.
    pub(crate) fn services_of(&self, process: &[Service]) -> Vec<String> {
        services(process).filter(|name| self.services.iter().any(|served| served == name)).map(str::to_owned).collect()
    }

    /// Whether browsers reach a process with these services: it serves some of them, or pages that links lead to.
    pub(crate) fn is_served_by(&self, process: &[Service]) -> bool {
        let has_links = self.public_url.as_deref().is_some_and(|url| !url.is_empty());
        !self.services_of(process).is_empty() || (has_links && process.iter().any(|service| service.has_pages()))
    }

    /// Where browsers find a process with these services, if they do.
    pub fn url(&self, process: &[Service], of_process: &TlsSettings) -> Option<String> {
        let address = self.address().filter(|_| self.is_served_by(process))?;
        let scheme = if self.has_certificate() || of_process.is_on() { "https" } else { "http" };
        Some(format!("{scheme}://{address}"))
    }

    /// Serves these services on this listener.
    pub(crate) fn listener(
        &self,
        listener: TcpListener,
        tls: Option<Tls>,
        services: Vec<String>,
    ) -> Result<WebListener, WebError> {
        Ok(WebListener { listener, tls, services, routes: Router::new(), allowed_origins: self.origins()? })
    }
}

/// Whether links can begin with the text: it is empty, or an address.
fn is_public_url(url: &str) -> bool {
    let is_address = |uri: &Uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some() && uri.query().is_none()
    };
    url.is_empty() || (!url.ends_with('/') && !url.contains('#') && url.parse().is_ok_and(|uri| is_address(&uri)))
}

/// Full names of the gRPC services of these services.
fn services(process: &[Service]) -> impl Iterator<Item = &'static str> {
    process.iter().flat_map(|service| service.definition().grpc_services).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(services: &[&str], origins: &[&str]) -> String {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let (services, allowed_origins) = (owned(services), Some(owned(origins)));
        WebSettings { services, allowed_origins, ..WebSettings::default() }.check().unwrap_err().to_string()
    }

    #[test]
    fn s1_services_that_are_not_for_browsers_are_refused_by_name() {
        assert!(WebSettings::default().check().is_ok());
        for name in [
            "frontdesk.conversation.internal.v1.ArbiterService",
            "frontdesk.dev.v1.MailboxService",
            "grpc.reflection.v1.ServerReflection",
            "grpc.health.v1.Health",
        ] {
            let error = error(&[visitor_service_server::SERVICE_NAME, name], &[]);
            assert!(
                error.starts_with("web.services has") && error.contains(name) && error.contains("never"),
                "{error}"
            );
        }
        let unknown = error(&["VisitorService"], &[]);
        assert!(unknown.contains("no service") && unknown.contains(visitor_service_server::SERVICE_NAME), "{unknown}");
        assert!(error(&[], &["shop.example"]).starts_with("web.allowed_origins: \"shop.example\""));
    }

    #[test]
    fn t6_a_process_whose_links_browsers_follow_is_served_without_a_service_for_them() {
        let served_by = |url: &str, service| {
            WebSettings { public_url: Some(url.into()), ..WebSettings::default() }.is_served_by(&[service])
        };
        assert!(served_by("https://chat.example", Service::Notification));
        assert!(!served_by("", Service::Notification));
        assert!(served_by("", Service::Conversation));
        assert!(!served_by("https://chat.example", Service::Assignment));
    }

    #[test]
    fn c5_a_public_address_is_one_that_links_can_begin_with() {
        for url in ["", "https://chat.example", "http://127.0.0.1:7780", "https://shop.example/chat"] {
            assert!(is_public_url(url), "{url}");
        }
        for url in ["chat.example", "https://chat.example/", "ftp://chat.example", "https://chat.example?a=b", "/chat"]
        {
            assert!(!is_public_url(url), "{url}");
        }
    }

    #[test]
    fn only_embedded_development_serves_browsers_by_default() {
        let with_defaults = |embedded_development| {
            let mut settings = WebSettings::default();
            settings.set_defaults(embedded_development);
            (settings.address().map(|address| address.port()), settings.allowed_origins.unwrap())
        };
        assert_eq!(with_defaults(true), (Some(7780), vec!["*".to_owned()]));
        assert_eq!(with_defaults(false), (None, Vec::new()));
        let mut off = WebSettings { listen: Some(None), ..WebSettings::default() };
        off.set_defaults(true);
        assert_eq!(off.address(), None);
    }

    #[test]
    fn a_process_serves_those_of_its_own_services_that_are_for_browsers() {
        let settings = WebSettings::default();
        assert_eq!(settings.services_of(&Service::ALL), settings.services);
        assert_eq!(settings.services_of(&[Service::Conversation]), settings.services);
        assert!(settings.services_of(&[Service::Assignment]).is_empty());
    }
}
