//! Settings of the service.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use frontdesk_settings::Secret;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    domain::{AutomaticLimits, RetryPolicy, WebhookPolicy, link},
    mail::{DkimKeys, is_language, languages, one_line},
};

/// Minimum of `transcript_max_bytes` (bytes): with less, a mail would not hold any message.
pub const MIN_TRANSCRIPT_BYTES: usize = 256 * 1024;

/// How long a mail waits for faults of the settings of the mail server to be repaired (7 days).
const MAX_REPAIR_TIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// How mails are sent, limits of their number, and how events are sent to endpoints of webhooks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationSettings {
    /// The mail server. Without a host, mails are written to a mailbox folder.
    pub smtp: SmtpSettings,
    /// Sender of the installation's own mails, such as the codes that verify sender addresses: `Name <address>`.
    pub installation_sender: String,
    /// Events for endpoints of webhooks.
    pub webhooks: WebhookSettings,
    /// Keys that sign mails with DKIM, one for each sender. None: mails are signed by the mail server, if at all.
    pub dkim_keys: Vec<DkimKeySettings>,
    /// Language of mails to recipients whose own is not known, or for which there is none: its BCP 47 tag, `en` or `it`.
    pub language: String,
    /// Address of a conversation in the inbox of agents, with `{conversation_id}` in the place of its id. Empty: agents are mailed
    /// nothing.
    pub inbox_url: String,
    /// Where browsers reach the installation: the setting `web.public_url`. Links to whole transcripts begin with it. Empty: there are none.
    #[serde(skip)]
    pub public_url: String,
    /// How long the links to attachments in a transcript can be opened, from the date of the mail.
    #[serde(with = "frontdesk_settings::duration")]
    pub attachment_link_lifetime: Duration,
    /// Minimum time between two automatic transcripts of one conversation to one address. 0: none.
    #[serde(with = "frontdesk_settings::duration")]
    pub automatic_interval_per_conversation: Duration,
    /// Maximum number of automatic transcripts of one conversation in an hour. For this and each other limit of mails, 0 means
    /// that none is sent.
    pub automatic_per_conversation_per_hour: u64,
    /// Maximum number of automatic transcripts to one address in 24 hours.
    pub automatic_per_recipient_per_day: u64,
    /// Maximum number of automatic transcripts of one account in an hour.
    pub automatic_per_account_per_hour: u64,
    /// Maximum number of automatic transcripts to one address that is not verified, whichever contacts claim it, in 24 hours.
    pub unverified_per_contact_per_day: u64,
    /// Maximum number of automatic transcripts to unverified addresses of one account, in 24 hours.
    pub unverified_per_account_per_day: u64,
    /// Maximum number of transcripts that the agents of one account send by hand in an hour. For this and the next two, the retries of
    /// deliveries have a count of their own with the same maximum.
    pub manual_per_account_per_hour: u64,
    /// Maximum number of transcripts that one agent sends by hand in an hour.
    pub manual_per_agent_per_hour: u64,
    /// Maximum number of transcripts sent by hand to one address in an hour.
    pub manual_per_recipient_per_hour: u64,
    /// Maximum number of codes mailed to one sender address in an hour.
    pub codes_per_sender_per_hour: u64,
    /// Maximum number of codes mailed for one account in an hour.
    pub codes_per_account_per_hour: u64,
    /// Maximum number of codes that one administrator requests in an hour.
    pub codes_per_caller_per_hour: u64,
    /// Maximum number of codes mailed to one address that visitors typed, in an hour.
    pub address_codes_per_recipient_per_hour: u64,
    /// Maximum number of codes that one visitor requests in an hour.
    pub address_codes_per_visitor_per_hour: u64,
    /// Maximum number of codes that the visitors of one account request in an hour.
    pub address_codes_per_account_per_hour: u64,
    /// Maximum size of the HTML and the text of a transcript together (bytes); of a longer chat the first and the last part
    /// are mailed. At least 256 KiB.
    pub transcript_max_bytes: usize,
    /// How long the text of a failed or parked delivery is kept, after its last attempt. A retry composes a transcript anew.
    #[serde(with = "frontdesk_settings::duration")]
    pub keep_failed_mails: Duration,
    /// Maximum number of previews composed at the same time by one replica.
    pub previews_at_once: usize,
    /// Maximum number of deliveries composed or sent at the same time by one replica. It is also its maximum number of connections to the
    /// mail server.
    pub deliveries_at_once: usize,
    /// The same of those to one domain, so that mails to other domains do not wait for one that answers slowly.
    pub deliveries_per_domain: usize,
    /// How long the deliveries in progress may take to end after a stop, where the process's own time is shorter: an attempt that
    /// is cut off has an unknown outcome.
    #[serde(with = "frontdesk_settings::duration")]
    pub drain: Duration,
    /// Number of attempts after which a delivery has failed.
    pub max_attempts: i32,
    /// Pause after the first failed attempt; later pauses are 4, 16, 60, 120, 240 and 480 times as long.
    #[serde(with = "frontdesk_settings::duration")]
    pub retry_pause: Duration,
}

impl Default for NotificationSettings {
    fn default() -> Self {
        Self {
            smtp: SmtpSettings::default(),
            installation_sender: "Frontdesk <frontdesk@localhost.localdomain>".into(),
            webhooks: WebhookSettings::default(),
            dkim_keys: Vec::new(),
            language: "en".into(),
            inbox_url: String::new(),
            public_url: String::new(),
            attachment_link_lifetime: Duration::from_secs(30 * 24 * 3600),
            automatic_interval_per_conversation: Duration::from_secs(600),
            automatic_per_conversation_per_hour: 3,
            automatic_per_recipient_per_day: 30,
            automatic_per_account_per_hour: 5_000,
            unverified_per_contact_per_day: 5,
            unverified_per_account_per_day: 200,
            manual_per_account_per_hour: 500,
            manual_per_agent_per_hour: 100,
            manual_per_recipient_per_hour: 20,
            codes_per_sender_per_hour: 5,
            codes_per_account_per_hour: 20,
            codes_per_caller_per_hour: 20,
            address_codes_per_recipient_per_hour: 5,
            address_codes_per_visitor_per_hour: 5,
            address_codes_per_account_per_hour: 200,
            transcript_max_bytes: 10 * 1024 * 1024,
            keep_failed_mails: Duration::from_secs(30 * 24 * 3600),
            previews_at_once: 4,
            deliveries_at_once: 16,
            deliveries_per_domain: 4,
            drain: Duration::from_secs(15),
            max_attempts: 12,
            retry_pause: Duration::from_secs(30),
        }
    }
}

impl NotificationSettings {
    /// Returns the folder that mails are written to, with one folder for each account. None: they are sent to a mail
    /// server.
    pub fn mailbox_folder(&self, data_folder: &Path) -> Option<PathBuf> {
        self.smtp.host.is_empty().then(|| data_folder.join("mailbox"))
    }

    /// Refuses keys of DKIM that cannot sign. The error names the sender whose key it is, and what is wrong.
    pub fn check_dkim_keys(&self) -> Result<(), String> {
        DkimKeys::try_load(&self.dkim_keys).map(drop).map_err(|error| error.to_string())
    }

    /// Returns the display name and address of the installation's own sender.
    pub(crate) fn installation_sender(&self) -> Result<(String, String), InvalidSender> {
        parse_mailbox(&self.installation_sender).ok_or(InvalidSender)
    }

    /// Refuses a language that there is none of.
    pub(crate) fn require_language(&self) -> Result<(), UnknownLanguage> {
        if is_language(&self.language) { Ok(()) } else { Err(UnknownLanguage(languages())) }
    }

    /// Refuses an address of the inbox that cannot be linked, or is the same for all conversations.
    pub(crate) fn require_inbox_url(&self) -> Result<(), InvalidInboxUrl> {
        let names_conversation =
            self.inbox_url.contains(CONVERSATION_ID) && link(&self.inbox_url_of(Uuid::nil())).is_some();
        if self.inbox_url.is_empty() || names_conversation { Ok(()) } else { Err(InvalidInboxUrl) }
    }

    /// Returns the address of a conversation in the inbox.
    pub(crate) fn inbox_url_of(&self, conversation: Uuid) -> String {
        self.inbox_url.replace(CONVERSATION_ID, &conversation.to_string())
    }

    /// Returns when and how often deliveries are retried.
    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            first_pause: self.retry_pause,
            max_attempts: self.max_attempts,
            max_repair_time: MAX_REPAIR_TIME,
            min_transcript_bytes: MIN_TRANSCRIPT_BYTES,
        }
    }

    /// Returns the limits of automatic transcripts.
    pub(crate) fn automatic_limits(&self) -> AutomaticLimits {
        AutomaticLimits {
            interval: self.automatic_interval_per_conversation,
            per_conversation: self.automatic_per_conversation_per_hour,
            per_recipient: self.automatic_per_recipient_per_day,
            per_account: self.automatic_per_account_per_hour,
            unverified_per_recipient: self.unverified_per_contact_per_day,
            unverified_per_account: self.unverified_per_account_per_day,
        }
    }
}

/// A key that signs the mails of a sender with DKIM.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DkimKeySettings {
    /// The address whose mails it signs, or the domain of such addresses.
    pub sender: String,
    /// Its name in the DNS: the public key is at `<selector>._domainkey.<domain>`.
    pub selector: String,
    /// A PEM file with the private Ed25519 key.
    pub key_path: String,
}

/// The installation's own sender is not a mailbox.
#[derive(Debug, thiserror::Error)]
#[error("notification.installation_sender: must be like Frontdesk <frontdesk@example.com>")]
pub(crate) struct InvalidSender;

/// What stands for the id of a conversation in `inbox_url`.
const CONVERSATION_ID: &str = "{conversation_id}";

/// The address of the inbox cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "notification.inbox_url: must be empty, or an http or https address with {{conversation_id}}, such as https://inbox.example/{{conversation_id}}"
)]
pub(crate) struct InvalidInboxUrl;

/// There is no file for the language of the installation.
#[derive(Debug, thiserror::Error)]
#[error("notification.language: must be one of {0}")]
pub(crate) struct UnknownLanguage(String);

/// Splits `Name <address>` or `address` into name and address. None: the address is not a plain one.
fn parse_mailbox(text: &str) -> Option<(String, String)> {
    match text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => {
            Some((one_line(name.trim().trim_matches('"'), 100), frontdesk_mail_address::normalized(address)?))
        }
        None => Some((String::new(), frontdesk_mail_address::normalized(text)?)),
    }
}

/// The mail server that accepts the mails.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpSettings {
    /// Its host name. Empty: mails are written to a mailbox folder instead.
    pub host: String,
    /// Its port. 0: 587 for `starttls`, 465 for `implicit`, 25 for `none`.
    pub port: u16,
    /// Encryption of the connection. There is no fallback to a weaker one.
    pub tls: SmtpTls,
    /// User name. Empty: no authentication.
    pub username: String,
    /// Password.
    pub password: Secret,
    /// A PEM file with a certificate authority to trust besides the system's. Empty: none.
    pub ca_path: String,
    /// The name in the EHLO greeting. Empty: this machine's.
    pub helo_name: String,
    /// Maximum duration of each step of the exchange: connecting, the greeting, each command, each 64 KiB of the mail.
    #[serde(with = "frontdesk_settings::duration")]
    pub timeout: Duration,
    /// Maximum duration from the end of a mail to the server's response, in which it may scan the mail. After it the outcome is
    /// unknown and the mail is sent once more.
    #[serde(with = "frontdesk_settings::duration")]
    pub acceptance_timeout: Duration,
    /// Maximum number of mails that are sent over one connection. 1: each mail has a connection of its own.
    pub mails_per_connection: u32,
    /// How long a connection is kept open without a mail. Less than the server's own timeout.
    #[serde(with = "frontdesk_settings::duration")]
    pub idle_timeout: Duration,
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
            acceptance_timeout: Duration::from_secs(300),
            mails_per_connection: 100,
            idle_timeout: Duration::from_secs(10),
        }
    }
}

impl SmtpSettings {
    /// Returns the port to connect to.
    pub fn port(&self) -> u16 {
        match (self.port, self.tls) {
            (0, SmtpTls::None) => 25,
            (0, SmtpTls::Starttls) => 587,
            (0, SmtpTls::Implicit) => 465,
            (port, _) => port,
        }
    }
}

/// Encryption of the connection to the mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum SmtpTls {
    /// None. A password is then sent only to a server on this machine.
    None,
    /// STARTTLS. If the server does not offer it, nothing is sent.
    Starttls,
    /// TLS from the first byte.
    Implicit,
}

impl TryFrom<String> for SmtpTls {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "none" => Ok(Self::None),
            "starttls" => Ok(Self::Starttls),
            "implicit" => Ok(Self::Implicit),
            _ => Err("it must be starttls, implicit or none"),
        }
    }
}

/// How events are sent to endpoints of webhooks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// Whether endpoints may have http addresses: for development and tests.
    pub allow_http: bool,
    /// Networks in CIDR notation, such as `10.0.0.0/8`, that receivers may be in although they are private, loopback or link-local.
    #[serde(deserialize_with = "frontdesk_settings::list::deserialize")]
    pub allowed_networks: Vec<String>,
    /// Networks that receivers must not be in although they are public or allowed, such as those of this installation's own services.
    #[serde(deserialize_with = "frontdesk_settings::list::deserialize")]
    pub refused_networks: Vec<String>,
    /// Maximum number of endpoints of one account.
    pub endpoints_per_account: u64,
    /// Maximum number of events that are posted at the same time by one replica to endpoints that answer quickly. Slow ones have four times as
    /// many.
    pub deliveries_at_once: usize,
    /// The same of those to one endpoint. An endpoint whose last attempt failed has one at a time.
    pub deliveries_per_endpoint: usize,
    /// Maximum duration of an attempt, from resolving the name to the status of the answer.
    #[serde(with = "frontdesk_settings::duration")]
    pub timeout: Duration,
    /// Number of failed attempts after which a delivery has failed.
    pub max_attempts: i32,
    /// Pause after the first failed attempt; later pauses are 4, 16, 60, 120, 240 and 480 times as long.
    #[serde(with = "frontdesk_settings::duration")]
    pub retry_pause: Duration,
    /// How long an event for an endpoint that wants them in order waits for one before it that has not arrived.
    #[serde(with = "frontdesk_settings::duration")]
    pub order_wait: Duration,
    /// How long every attempt of an endpoint fails until it is disabled.
    #[serde(with = "frontdesk_settings::duration")]
    pub disable_after: Duration,
    /// How long deliveries are kept, whether they were sent or not.
    #[serde(with = "frontdesk_settings::duration")]
    pub keep_deliveries: Duration,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            allow_http: false,
            allowed_networks: Vec::new(),
            refused_networks: Vec::new(),
            endpoints_per_account: 20,
            deliveries_at_once: 64,
            deliveries_per_endpoint: 4,
            timeout: Duration::from_secs(10),
            max_attempts: 15,
            retry_pause: Duration::from_secs(30),
            order_wait: Duration::from_secs(120),
            disable_after: Duration::from_secs(5 * 24 * 3600),
            keep_deliveries: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

impl WebhookSettings {
    /// Returns when and how often a delivery is attempted.
    pub(crate) fn policy(&self) -> WebhookPolicy {
        WebhookPolicy { first_pause: self.retry_pause, max_attempts: self.max_attempts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n4_an_inbox_has_an_address_for_each_conversation_or_none() {
        let settings = |url: &str| NotificationSettings { inbox_url: url.into(), ..Default::default() };
        let good = settings("https://inbox.example/#/{conversation_id}");
        assert!(good.require_inbox_url().is_ok() && settings("").require_inbox_url().is_ok());
        assert_eq!(good.inbox_url_of(Uuid::nil()), format!("https://inbox.example/#/{}", Uuid::nil()));
        for bad in ["https://inbox.example/", "inbox.example/{conversation_id}", "javascript:{conversation_id}"] {
            let refused = settings(bad).require_inbox_url().unwrap_err().to_string();
            assert!(refused.contains("such as https://inbox.example/{conversation_id}"), "{refused}");
        }
    }

    #[test]
    fn a_language_without_a_file_is_refused_with_those_that_there_are() {
        let settings = |language: &str| NotificationSettings { language: language.into(), ..Default::default() };
        assert!(settings("it").require_language().is_ok() && settings("en").require_language().is_ok());
        let refused = settings("tlh").require_language().unwrap_err().to_string();
        assert_eq!(refused, "notification.language: must be one of en, it");
    }

    #[test]
    fn a_mailbox_is_a_name_and_an_address() {
        let mailbox = |name: &str, address: &str| Some((name.to_owned(), address.to_owned()));
        assert_eq!(
            parse_mailbox("Frontdesk <f@localhost.localdomain>"),
            mailbox("Frontdesk", "f@localhost.localdomain")
        );
        assert_eq!(parse_mailbox("f@example.com"), mailbox("", "f@example.com"));
        assert_eq!(parse_mailbox("Frontdesk <f@müller.example>"), mailbox("Frontdesk", "f@xn--mller-kva.example"));
        assert_eq!(parse_mailbox("Frontdesk <f@localhost"), None);
    }
}
