//! The settings of the processes.

use std::time::Duration;

use frontdesk_test_servers::NO_LIMITS_OF_CALLERS;

use super::{KEEP_UNSENT, PUBLIC_URL, SMTP_ACCEPTANCE_TIMEOUT, SMTP_TIMEOUT};

/// Maximum duration of an attempt to post an event to a receiver of webhooks.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// Settings that do not depend on the installation's mode: timeouts that tests can wait for, without limits that a few callers with
/// many calls reach. `smtp_port`: port of the mail server on the loopback address.
pub fn settings_of_the_workload(smtp_port: u16) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: String| settings.push((format!("FRONTDESK__{name}"), value));
    set("WEB__PUBLIC_URL", PUBLIC_URL.into());
    for setting in ["UPLOAD_LIFETIME", "KEEP_UNSENT"] {
        set(&format!("ATTACHMENTS__{setting}"), format!("{}s", KEEP_UNSENT.as_secs()));
    }
    set("NOTIFICATION__SMTP__HOST", "127.0.0.1".into());
    set("NOTIFICATION__SMTP__PORT", smtp_port.to_string());
    set("NOTIFICATION__SMTP__TLS", "none".into());
    for (setting, timeout) in [("TIMEOUT", SMTP_TIMEOUT), ("ACCEPTANCE_TIMEOUT", SMTP_ACCEPTANCE_TIMEOUT)] {
        set(&format!("NOTIFICATION__SMTP__{setting}"), format!("{}s", timeout.as_secs()));
    }
    // Connections are shared, and opened and closed often: faults at the beginning and at the end of one are reached too.
    set("NOTIFICATION__SMTP__MAILS_PER_CONNECTION", "2".into());
    // The visitors of an account have addresses of one domain.
    set("NOTIFICATION__DELIVERIES_PER_DOMAIN", "16".into());
    set("NOTIFICATION__RETRY_PAUSE", "100ms".into());
    // Receivers of webhooks are in this program.
    set("NOTIFICATION__WEBHOOKS__ALLOW_HTTP", "true".into());
    set("NOTIFICATION__WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8".into());
    set("NOTIFICATION__WEBHOOKS__TIMEOUT", format!("{}s", WEBHOOK_TIMEOUT.as_secs()));
    set("NOTIFICATION__WEBHOOKS__RETRY_PAUSE", "50ms".into());
    // Fewer than the attempts in progress to the receivers of R22 that never answer.
    set("NOTIFICATION__WEBHOOKS__DELIVERIES_AT_ONCE", "8".into());
    // A few agents of the workload do what many agents would do.
    for limit in ["ACCOUNT", "AGENT", "RECIPIENT"] {
        set(&format!("NOTIFICATION__MANUAL_PER_{limit}_PER_HOUR"), "1000000".into());
    }
    for limit in ["CONVERSATION_PER_HOUR", "RECIPIENT_PER_DAY", "ACCOUNT_PER_HOUR"] {
        set(&format!("NOTIFICATION__AUTOMATIC_PER_{limit}"), "1000000".into());
    }
    // Every close of a chat that is reopened has its mail.
    set("NOTIFICATION__AUTOMATIC_INTERVAL_PER_CONVERSATION", "0s".into());
    set("TELEMETRY__LOG", std::env::var("FRONTDESK_CHAOS_LOG").unwrap_or_else(|_| "info,sqlx=warn".into()));
    settings.extend(NO_LIMITS_OF_CALLERS.map(|(name, value)| (name.into(), value.into())));
    // All anonymous visitors of R10 have one address, and start at once.
    for rate in ["ANONYMOUS_VISITOR_RATE", "ACCOUNT_VISITOR_RATE"] {
        settings.push((format!("FRONTDESK__LIMITS__{rate}"), "0".into()));
    }
    settings
}
