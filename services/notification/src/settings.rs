//! Settings of the service.

use std::time::Duration;

use frontdesk_settings::Secret;
use serde::{Deserialize, Serialize};

/// How mails leave, and how many may.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationSettings {
    /// The mail server. Without a host mails are written to a mailbox folder.
    pub smtp: SmtpSettings,
    /// Whom mails of the installation itself come from, such as the codes that verify sender addresses.
    pub installation_sender: String,
    /// Automatic transcripts to one contact whose address is not verified, in 24 hours.
    pub unverified_per_contact_per_day: u64,
    /// Automatic transcripts to unverified addresses of one account, in 24 hours.
    pub unverified_per_account_per_day: u64,
    /// Transcripts that the agents of one account send by hand in an hour.
    pub manual_per_account_per_hour: u64,
    /// Transcripts that one agent sends by hand in an hour.
    pub manual_per_agent_per_hour: u64,
    /// Transcripts that one address is sent by hand in an hour.
    pub manual_per_recipient_per_hour: u64,
    /// Codes mailed to one sender address in an hour.
    pub codes_per_sender_per_hour: u64,
    /// Codes mailed for one account in an hour.
    pub codes_per_account_per_hour: u64,
    /// Codes that one administrator has mailed in an hour.
    pub codes_per_caller_per_hour: u64,
    /// The HTML and the text of a transcript may have so many bytes together; of a longer chat the first and the last part
    /// are mailed. Less than 256 KiB counts as 256 KiB.
    pub transcript_max_bytes: usize,
    /// So many deliveries are composed or sent at once.
    pub deliveries_at_once: usize,
    /// After so many attempts a delivery has failed.
    pub max_attempts: i32,
    /// The pause after the first failed attempt; later ones grow from it: 4, 16, 60, 120, 240, 480 times as long.
    #[serde(with = "frontdesk_settings::duration")]
    pub retry_pause: Duration,
}

impl Default for NotificationSettings {
    fn default() -> Self {
        Self {
            smtp: SmtpSettings::default(),
            installation_sender: "Frontdesk <frontdesk@localhost.localdomain>".into(),
            unverified_per_contact_per_day: 5,
            unverified_per_account_per_day: 200,
            manual_per_account_per_hour: 500,
            manual_per_agent_per_hour: 100,
            manual_per_recipient_per_hour: 20,
            codes_per_sender_per_hour: 5,
            codes_per_account_per_hour: 20,
            codes_per_caller_per_hour: 20,
            transcript_max_bytes: 10 * 1024 * 1024,
            deliveries_at_once: 8,
            max_attempts: 12,
            retry_pause: Duration::from_secs(30),
        }
    }
}

/// The mail server that mails are handed to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpSettings {
    /// Its name. Empty: mails are written to a mailbox folder instead.
    pub host: String,
    /// Its port. 0: 587 for `starttls`, 465 for `implicit`, 25 for `none`.
    pub port: u16,
    /// How the connection is encrypted. Nothing ever falls back to less.
    pub tls: SmtpTls,
    /// User name. Empty: no authentication.
    pub username: String,
    /// Password.
    pub password: Secret,
    /// A PEM file with a certificate authority to trust besides the system's. Empty: none.
    pub ca_path: String,
    /// The name that we greet with. Empty: this machine's.
    pub helo_name: String,
    /// So long for each step of the exchange: connecting, the greeting, each command, the mail itself.
    #[serde(with = "frontdesk_settings::duration")]
    pub timeout: Duration,
}

impl Default for SmtpSettings {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 0,
            tls: SmtpTls::Starttls,
            username: String::new(),
            password: Secret::default(),
            ca_path: String::new(),
            helo_name: String::new(),
            timeout: Duration::from_secs(20),
        }
    }
}

impl SmtpSettings {
    /// The port to connect to.
    pub fn port(&self) -> u16 {
        match (self.port, self.tls) {
            (0, SmtpTls::None) => 25,
            (0, SmtpTls::Starttls) => 587,
            (0, SmtpTls::Implicit) => 465,
            (port, _) => port,
        }
    }
}

/// How the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// Not at all. A password is then sent to a server on this machine only.
    None,
    /// By STARTTLS, or not at all: without it nothing is sent.
    Starttls,
    /// From the first byte.
    Implicit,
}
