//! The settings of the whole process; each service's own are in its crate.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use frontdesk_db::{DatabaseUrl, DbSettings};
use frontdesk_notification::NotificationSettings;
use frontdesk_settings::SettingsError;
use frontdesk_telemetry::TelemetrySettings;
use serde::{Deserialize, Serialize};

/// Everything that can be set, with its default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where gRPC listens. With the development key a loopback address, always.
    pub listen: SocketAddr,
    /// Where keys, SQLite files and the mailbox are.
    pub data_folder: PathBuf,
    /// Calls and streams that run at a stop have so long.
    #[serde(with = "frontdesk_settings::duration")]
    pub drain: Duration,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
    /// A database for each service.
    pub databases: Databases,
    /// The notification service.
    pub notification: NotificationSettings,
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

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7700),
            data_folder: "data".into(),
            drain: Duration::from_secs(5),
            telemetry: TelemetrySettings::default(),
            databases: Databases::default(),
            notification: NotificationSettings::default(),
        }
    }
}

impl Settings {
    /// Defaults, then the file, then the environment.
    pub fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        frontdesk_settings::load(file, std::env::vars())
    }

    /// The database of a service, with its place in the data folder filled in.
    pub(crate) fn database(&self, settings: &DbSettings, name: &str) -> DbSettings {
        let mut settings = settings.clone();
        if settings.url.0.is_empty() {
            settings.url = DatabaseUrl(format!("sqlite://{}", self.data_folder.join(format!("{name}.db")).display()));
        }
        settings
    }
}
