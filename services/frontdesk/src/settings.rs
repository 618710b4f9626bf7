//! The settings of the whole process; each service's own are in its crate.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use frontdesk_auth::IdentitySettings;
use frontdesk_bus::BusSettings;
use frontdesk_db::{DatabaseUrl, DbSettings};
use frontdesk_notification::NotificationSettings;
use frontdesk_server::LimitSettings;
use frontdesk_settings::SettingsError;
use frontdesk_telemetry::TelemetrySettings;
use frontdesk_transport::TlsSettings;
use serde::{Deserialize, Serialize};

use crate::Service;

/// Everything that can be set, with its default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where gRPC listens. An address that others reach needs an issuer and TLS.
    pub listen: SocketAddr,
    /// Where the development key, SQLite files and the mailbox are. With the development key, the processes of the
    /// distributed footing share it.
    pub data_folder: PathBuf,
    /// Calls and streams that run at a stop have so long.
    #[serde(with = "frontdesk_settings::duration")]
    pub drain: Duration,
    /// On the distributed footing `serve` waits so long for the schema that `migrate` makes.
    #[serde(with = "frontdesk_settings::duration")]
    pub schema_wait: Duration,
    /// Whose tokens are accepted.
    pub identity: IdentitySettings,
    /// Certificates.
    pub tls: TlsSettings,
    /// What this process carries, and how often callers may call.
    pub limits: LimitSettings,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
    /// A database for each service.
    pub databases: Databases,
    /// How events travel.
    pub bus: BusSettings,
    /// Where the services are that this process does not run.
    pub peers: Peers,
    /// The notification service.
    pub notification: NotificationSettings,
    /// What only tests and development set.
    pub development: Development,
}

/// A database for each service. An empty address: a SQLite file in the data folder.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Databases {
    /// Of the conversation service.
    pub conversation: DbSettings,
    /// Of the assignment service.
    pub assignment: DbSettings,
    /// Of the bot-session service.
    pub bot_session: DbSettings,
    /// Of the notification service.
    pub notification: DbSettings,
}

/// Addresses of services, `https://host:port` (or `http` on one machine), several with commas between them; a name may stand for several replicas and
/// is looked up again and again. Empty: this process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Peers {
    /// The conversation service.
    pub conversation: String,
    /// The assignment service.
    pub assignment: String,
    /// The bot-session service.
    pub bot_session: String,
    /// The notification service.
    pub notification: String,
}

/// What only tests and development set.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Development {
    /// This process's clock is wrong by so many seconds: what a deployment does when a machine's clock is off.
    pub clock_skew_seconds: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7700),
            data_folder: "data".into(),
            drain: Duration::from_secs(5),
            schema_wait: Duration::from_secs(60),
            identity: IdentitySettings::default(),
            tls: TlsSettings::default(),
            limits: LimitSettings::default(),
            telemetry: TelemetrySettings::default(),
            databases: Databases::default(),
            bus: BusSettings::default(),
            peers: Peers::default(),
            notification: NotificationSettings::default(),
            development: Development::default(),
        }
    }
}

impl Settings {
    /// Defaults, then the file, then the environment.
    pub fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        frontdesk_settings::load(file, std::env::vars())
    }

    /// Events go through a broker, and every service may be a process of its own.
    pub fn is_distributed(&self) -> bool {
        !self.bus.url.is_empty()
    }

    /// Where a service is. Empty: in this process.
    pub fn peer(&self, service: Service) -> &str {
        match service {
            Service::Conversation => &self.peers.conversation,
            Service::Assignment => &self.peers.assignment,
            Service::BotSession => &self.peers.bot_session,
            Service::Notification => &self.peers.notification,
        }
    }

    /// The database of a service, with its place in the data folder filled in.
    pub(crate) fn database(&self, service: Service) -> DbSettings {
        let settings = match service {
            Service::Conversation => &self.databases.conversation,
            Service::Assignment => &self.databases.assignment,
            Service::BotSession => &self.databases.bot_session,
            Service::Notification => &self.databases.notification,
        };
        self.in_data_folder(settings, service.name())
    }

    /// The file of the bus within this process.
    pub(crate) fn bus_database(&self) -> DbSettings {
        self.in_data_folder(&DbSettings::default(), "bus")
    }

    fn in_data_folder(&self, settings: &DbSettings, name: &str) -> DbSettings {
        let mut settings = settings.clone();
        if settings.url.0.is_empty() {
            settings.url = DatabaseUrl(format!("sqlite://{}", self.data_folder.join(format!("{name}.db")).display()));
        }
        settings
    }
}
