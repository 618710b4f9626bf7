//! The settings of a process; those of one service are in its crate.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use frontdesk_assignment::AssignmentSettings;
use frontdesk_auth::IdentitySettings;
use frontdesk_bus::BusSettings;
use frontdesk_conversation::AttachmentSettings;
use frontdesk_db::{DatabaseUrl, DbSettings};
use frontdesk_notification::NotificationSettings;
use frontdesk_server::LimitSettings;
use frontdesk_settings::SettingsError;
use frontdesk_telemetry::TelemetrySettings;
use frontdesk_transport::TlsSettings;
use serde::{Deserialize, Serialize};

use crate::{Service, WebSettings, misspelt};

/// All settings, with their defaults.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address of the gRPC listener. An address beyond loopback needs an issuer and TLS.
    #[serde(with = "frontdesk_settings::address")]
    pub listen: SocketAddr,
    /// The listener for browsers.
    pub web: WebSettings,
    /// The operator's HTTP listener.
    pub ops: OpsSettings,
    /// Folder of the development key, the SQLite files and the mailbox. Processes in distributed mode that accept the
    /// development key share it.
    #[serde(deserialize_with = "frontdesk_settings::path::required")]
    pub data_folder: PathBuf,
    /// How long calls, streams and background tasks may take to end after a stop.
    #[serde(with = "frontdesk_settings::duration")]
    pub drain: Duration,
    /// How long `serve` waits in distributed mode for the schema that `migrate` creates.
    #[serde(with = "frontdesk_settings::duration")]
    pub schema_wait: Duration,
    /// Issuers of the tokens that are accepted, and roles.
    pub identity: IdentitySettings,
    /// Certificates.
    pub tls: TlsSettings,
    /// Limits of this process, and rates of its callers.
    pub limits: LimitSettings,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
    /// A database for each service. Without an address: a SQLite file in the data folder.
    pub databases: PerService<DbSettings>,
    /// The event bus.
    pub bus: BusSettings,
    /// Addresses of services that other processes run: `https://host:port` (or `http` on one machine), several separated by
    /// commas; a host name may stand for several replicas and is resolved again regularly. Empty: this process runs it.
    pub peers: PerService<String>,
    /// The assignment service.
    pub assignment: AssignmentSettings,
    /// Attachments of messages.
    pub attachments: AttachmentSettings,
    /// The notification service.
    pub notification: NotificationSettings,
    /// For tests and development only.
    pub development: Development,
}

/// One value for each service.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Default + Deserialize<'de>"))]
pub struct PerService<T> {
    /// For the conversation service.
    pub conversation: T,
    /// For the assignment service.
    pub assignment: T,
    /// For the bot-session service.
    pub bot_session: T,
    /// For the notification service.
    pub notification: T,
}

impl<T> PerService<T> {
    /// The value for a service.
    pub fn get(&self, service: Service) -> &T {
        match service {
            Service::Conversation => &self.conversation,
            Service::Assignment => &self.assignment,
            Service::BotSession => &self.bot_session,
            Service::Notification => &self.notification,
        }
    }
}

/// The operator's HTTP listener.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpsSettings {
    /// Address of the listener for probes (`/livez`, `/readyz`) and metrics (`/metrics`), without TLS and authentication: for a
    /// private network. Empty: it is not served.
    #[serde(with = "frontdesk_settings::address::optional")]
    pub listen: Option<SocketAddr>,
}

/// For tests and development only.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Development {
    /// Seconds by which this process's clock is wrong, as the clock of a machine can be.
    pub clock_skew_seconds: i64,
    /// Folder of the example pages that `make web` builds, relative to the working directory. In embedded mode with the development key
    /// they are served at `web.listen`, with the services that they call and tokens of the development account. Empty: they are not.
    pub pages_folder: PathBuf,
}

impl Default for Development {
    fn default() -> Self {
        Self { clock_skew_seconds: 0, pages_folder: "target/clients/web/dist".into() }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7700),
            web: WebSettings::default(),
            ops: OpsSettings::default(),
            data_folder: "data".into(),
            drain: Duration::from_secs(5),
            schema_wait: Duration::from_secs(60),
            identity: IdentitySettings::default(),
            tls: TlsSettings::default(),
            limits: LimitSettings::default(),
            telemetry: TelemetrySettings::default(),
            databases: PerService::default(),
            bus: BusSettings::default(),
            peers: PerService::default(),
            assignment: AssignmentSettings::default(),
            attachments: AttachmentSettings::default(),
            notification: NotificationSettings::default(),
            development: Development::default(),
        }
    }
}

impl Settings {
    /// Defaults, then the file, then the environment.
    pub fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        let mut settings: Self = frontdesk_settings::load(file, std::env::vars())?;
        let embedded_development = !settings.is_distributed() && settings.identity.accepts_development_key();
        settings.web.set_defaults(embedded_development);
        Ok(settings)
    }

    /// Environment variables that are not read because one underscore stands where two must be, such as `FRONTDESK_LISTEN`; each
    /// with the name that is read.
    pub fn misspelt_variables() -> Vec<(String, String)> {
        misspelt::misspelt(std::env::vars().map(|(name, _)| name))
    }

    /// True in distributed mode: events go through a broker, and each service may run in processes of its own.
    pub fn is_distributed(&self) -> bool {
        !self.bus.url.is_empty()
    }

    /// The database of a service.
    pub(crate) fn database(&self, service: Service) -> DbSettings {
        self.in_data_folder(self.databases.get(service), service.name())
    }

    /// The database of the in-process bus.
    pub(crate) fn bus_database(&self) -> DbSettings {
        self.in_data_folder(&DbSettings::default(), "bus")
    }

    /// The settings, with a SQLite file in the data folder where they have no address.
    fn in_data_folder(&self, settings: &DbSettings, name: &str) -> DbSettings {
        let mut settings = settings.clone();
        if settings.url.0.is_empty() {
            settings.url = DatabaseUrl(format!("sqlite://{}", self.data_folder.join(format!("{name}.db")).display()));
        }
        settings
    }
}
