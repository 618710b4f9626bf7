//! The bounds of numbers and durations in the settings.

use std::{fmt, time::Duration};

use frontdesk_notification::MIN_TRANSCRIPT_BYTES;

use crate::Settings;

/// A number or a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Quantity {
    Number(i128),
    Time(Duration),
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Time(time) => write!(formatter, "{}", humantime::format_duration(*time)),
        }
    }
}

/// A setting with a value beyond its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} = {value}: it must be from {min} to {max}")]
pub struct OutOfBounds {
    setting: &'static str,
    value: Quantity,
    min: Quantity,
    max: Quantity,
}

/// Maximum of a number that counts what a process has at one time.
const MAX_COUNT: i128 = 1_000_000_000;
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Fails with the first setting that is beyond its bounds.
pub(crate) fn check(settings: &Settings) -> Result<(), OutOfBounds> {
    let beyond = |bound: &OutOfBounds| !(bound.min..=bound.max).contains(&bound.value);
    bounds(settings).into_iter().find(beyond).map_or(Ok(()), Err)
}

/// Every number and duration of the settings, with its bounds.
fn bounds(settings: &Settings) -> Vec<OutOfBounds> {
    let mut bounds = vec![
        time("drain", settings.drain, Duration::ZERO, HOUR),
        time("schema_wait", settings.schema_wait, Duration::ZERO, DAY),
        time("identity.leeway", settings.identity.leeway, Duration::ZERO, Duration::from_secs(60)),
        number("development.clock_skew_seconds", settings.development.clock_skew_seconds, -MAX_COUNT, MAX_COUNT),
    ];
    bounds.extend(of_databases(settings));
    bounds.extend(of_limits(settings));
    bounds.extend(of_bus(settings));
    bounds.extend(of_assignment(settings));
    bounds.extend(of_notification(settings));
    bounds.extend(of_attachments(settings));
    bounds
}

fn of_databases(settings: &Settings) -> Vec<OutOfBounds> {
    let of = &settings.databases;
    let databases = [
        ("databases.conversation.max_connections", &of.conversation),
        ("databases.assignment.max_connections", &of.assignment),
        ("databases.bot_session.max_connections", &of.bot_session),
        ("databases.notification.max_connections", &of.notification),
    ];
    databases
        .into_iter()
        .filter_map(|(setting, database)| Some(number(setting, database.max_connections?, 1, 10_000)))
        .collect()
}

fn of_limits(settings: &Settings) -> Vec<OutOfBounds> {
    let limits = &settings.limits;
    vec![
        count("limits.connections", limits.connections, 1),
        count("limits.connections_per_address", limits.connections_per_address, 1),
        count("limits.streams_per_connection", limits.streams_per_connection, 1),
        count("limits.in_flight", limits.in_flight, 1),
        number("limits.visitor_share", limits.visitor_share, 1, 100),
        count("limits.streams", limits.streams, 1),
        count("limits.health_watches", limits.health_watches, 1),
        count("limits.health_watches_per_address", limits.health_watches_per_address, 1),
        count("limits.reflection_streams", limits.reflection_streams, 1),
        count("limits.reflection_streams_per_address", limits.reflection_streams_per_address, 1),
        number("limits.unread_bytes", limits.unread_bytes, 1, 1 << 40),
        number("limits.account_share", limits.account_share, 1, 100),
        count("limits.visitor_streams", limits.visitor_streams, 0),
        count("limits.visitor_rate", limits.visitor_rate, 0),
        count("limits.agent_rate", limits.agent_rate, 0),
        count("limits.bot_rate", limits.bot_rate, 0),
        count("limits.admin_rate", limits.admin_rate, 0),
        count("limits.account_rate", limits.account_rate, 0),
        count("limits.account_visitor_rate", limits.account_visitor_rate, 0),
        count("limits.anonymous_visitor_rate", limits.anonymous_visitor_rate, 0),
        count("limits.preflight_rate", limits.preflight_rate, 0),
        count("limits.http_rate", limits.http_rate, 0),
        count("limits.invalid_token_rate", limits.invalid_token_rate, 0),
    ]
}

fn of_bus(settings: &Settings) -> Vec<OutOfBounds> {
    let bus = &settings.bus;
    vec![
        number("bus.stream_replicas", bus.stream_replicas, 1, 5),
        // No shorter than the outboxes keep events: a consumer that is away for less than this misses none.
        time("bus.stream_max_age", bus.stream_max_age, 7 * DAY, 366 * DAY),
        number("bus.stream_max_bytes", bus.stream_max_bytes, 1 << 20, 1 << 50),
    ]
}

fn of_assignment(settings: &Settings) -> Vec<OutOfBounds> {
    let assignment = &settings.assignment;
    let interval = assignment.heartbeat_interval;
    vec![
        time("assignment.heartbeat_interval", interval, Duration::from_secs(5), HOUR),
        // One heartbeat may be lost, and one that comes soon after another is not stored.
        time("assignment.away_after", assignment.away_after, interval.saturating_mul(2), DAY),
    ]
}

fn of_notification(settings: &Settings) -> Vec<OutOfBounds> {
    let mails = &settings.notification;
    let (smtp, webhooks) = (&mails.smtp, &mails.webhooks);
    let second = Duration::from_secs(1);
    let interval = mails.automatic_interval_per_conversation;
    vec![
        time("notification.automatic_interval_per_conversation", interval, Duration::ZERO, DAY),
        count("notification.automatic_per_conversation_per_hour", mails.automatic_per_conversation_per_hour, 0),
        count("notification.automatic_per_recipient_per_day", mails.automatic_per_recipient_per_day, 0),
        count("notification.automatic_per_account_per_hour", mails.automatic_per_account_per_hour, 0),
        count("notification.unverified_per_contact_per_day", mails.unverified_per_contact_per_day, 0),
        count("notification.unverified_per_account_per_day", mails.unverified_per_account_per_day, 0),
        count("notification.manual_per_account_per_hour", mails.manual_per_account_per_hour, 0),
        count("notification.manual_per_agent_per_hour", mails.manual_per_agent_per_hour, 0),
        count("notification.manual_per_recipient_per_hour", mails.manual_per_recipient_per_hour, 0),
        count("notification.codes_per_sender_per_hour", mails.codes_per_sender_per_hour, 0),
        count("notification.codes_per_account_per_hour", mails.codes_per_account_per_hour, 0),
        count("notification.codes_per_caller_per_hour", mails.codes_per_caller_per_hour, 0),
        count("notification.address_codes_per_recipient_per_hour", mails.address_codes_per_recipient_per_hour, 0),
        count("notification.address_codes_per_visitor_per_hour", mails.address_codes_per_visitor_per_hour, 0),
        count("notification.address_codes_per_account_per_hour", mails.address_codes_per_account_per_hour, 0),
        number("notification.transcript_max_bytes", mails.transcript_max_bytes, MIN_TRANSCRIPT_BYTES as i128, 1 << 30),
        time("notification.attachment_link_lifetime", mails.attachment_link_lifetime, HOUR, 366 * DAY),
        time("notification.keep_failed_mails", mails.keep_failed_mails, Duration::ZERO, 3_660 * DAY),
        number("notification.previews_at_once", mails.previews_at_once, 1, 10_000),
        number("notification.deliveries_at_once", mails.deliveries_at_once, 1, 10_000),
        number("notification.deliveries_per_domain", mails.deliveries_per_domain, 1, 10_000),
        time("notification.drain", mails.drain, Duration::ZERO, HOUR),
        number("notification.max_attempts", mails.max_attempts, 1, 1_000),
        time("notification.retry_pause", mails.retry_pause, Duration::from_millis(1), HOUR),
        number("notification.smtp.port", smtp.port, 0, 65_535),
        count("notification.webhooks.endpoints_per_account", webhooks.endpoints_per_account, 0),
        number("notification.webhooks.deliveries_at_once", webhooks.deliveries_at_once, 1, 10_000),
        number("notification.webhooks.deliveries_per_endpoint", webhooks.deliveries_per_endpoint, 1, 10_000),
        time("notification.webhooks.timeout", webhooks.timeout, Duration::from_millis(1), HOUR),
        count("notification.webhooks.max_attempts", webhooks.max_attempts, 1),
        time("notification.webhooks.retry_pause", webhooks.retry_pause, Duration::from_millis(1), HOUR),
        time("notification.webhooks.order_wait", webhooks.order_wait, Duration::ZERO, DAY),
        time("notification.webhooks.disable_after", webhooks.disable_after, second, 3_660 * DAY),
        time("notification.webhooks.keep_deliveries", webhooks.keep_deliveries, HOUR, 3_660 * DAY),
        time("notification.smtp.timeout", smtp.timeout, second, HOUR),
        time("notification.smtp.acceptance_timeout", smtp.acceptance_timeout, second, HOUR),
        number("notification.smtp.mails_per_connection", smtp.mails_per_connection, 1, 1_000_000),
        time("notification.smtp.idle_timeout", smtp.idle_timeout, Duration::ZERO, HOUR),
    ]
}

fn of_attachments(settings: &Settings) -> Vec<OutOfBounds> {
    let (attachments, minute) = (&settings.attachments, Duration::from_secs(60));
    vec![
        number("attachments.max_bytes", attachments.max_bytes, 1, i128::from(i32::MAX)),
        number("attachments.max_bytes_per_chat", attachments.max_bytes_per_chat, 0, 1 << 50),
        number("attachments.max_bytes_per_account", attachments.max_bytes_per_account, 0, 1 << 60),
        number("attachments.uploads_at_once", attachments.uploads_at_once, 1, 10_000),
        number("attachments.downloads_at_once", attachments.downloads_at_once, 1, 10_000),
        time("attachments.transfer_wait", attachments.transfer_wait, Duration::ZERO, minute),
        time("attachments.upload_lifetime", attachments.upload_lifetime, minute, DAY),
        time("attachments.link_lifetime", attachments.link_lifetime, minute, 366 * DAY),
        time("attachments.keep_unsent", attachments.keep_unsent, minute, 366 * DAY),
    ]
}

fn count(setting: &'static str, value: impl TryInto<i128>, min: i128) -> OutOfBounds {
    number(setting, value, min, MAX_COUNT)
}

fn number(setting: &'static str, value: impl TryInto<i128>, min: i128, max: i128) -> OutOfBounds {
    let [value, min, max] = [value.try_into().unwrap_or(i128::MAX), min, max].map(Quantity::Number);
    OutOfBounds { setting, value, min, max }
}

fn time(setting: &'static str, value: Duration, min: Duration, max: Duration) -> OutOfBounds {
    let [value, min, max] = [value, min, max].map(Quantity::Time);
    OutOfBounds { setting, value, min, max }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use toml::Value;

    use super::*;

    /// Every setting that is a number or a duration, by its path.
    fn quantities(path: &str, value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Table(table) => {
                for (name, value) in table {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    quantities(&path, value, found);
                }
            }
            Value::Integer(_) | Value::Float(_) => drop(found.insert(path.to_owned())),
            Value::String(text) if humantime::parse_duration(text).is_ok() => drop(found.insert(path.to_owned())),
            _ => {}
        }
    }

    fn with_connections() -> Settings {
        let mut settings = Settings::default();
        let of = &mut settings.databases;
        for database in [&mut of.conversation, &mut of.assignment, &mut of.bot_session, &mut of.notification] {
            database.max_connections = Some(16);
        }
        settings
    }

    #[test]
    fn every_number_and_duration_of_the_settings_has_bounds() {
        let settings = with_connections();
        let mut all = BTreeSet::new();
        quantities("", &Value::try_from(&settings).unwrap(), &mut all);
        let bounded: BTreeSet<String> = bounds(&settings).iter().map(|bound| bound.setting.to_owned()).collect();
        assert_eq!(bounded, all);
        assert_eq!(check(&settings), Ok(()), "the defaults");
    }

    #[test]
    fn a_value_beyond_its_bounds_is_refused_with_the_name_of_its_setting() {
        let zero = Settings::default();
        type Set = fn(&mut Settings);
        let cases: [(Set, &str); 9] = [
            (
                |settings| settings.notification.transcript_max_bytes = 5,
                "notification.transcript_max_bytes = 5: it must be from 262144 to 1073741824",
            ),
            (
                |settings| settings.notification.max_attempts = 0,
                "notification.max_attempts = 0: it must be from 1 to 1000",
            ),
            (|settings| settings.notification.deliveries_at_once = 0, "notification.deliveries_at_once = 0"),
            (
                |settings| settings.notification.smtp.timeout = Duration::ZERO,
                "notification.smtp.timeout = 0s: it must be from 1s to 1h",
            ),
            (
                |settings| settings.databases.assignment.max_connections = Some(0),
                "databases.assignment.max_connections = 0",
            ),
            (
                |settings| settings.assignment.heartbeat_interval = Duration::from_secs(60),
                "assignment.away_after = 1m 30s: it must be from 2m to 1day",
            ),
            (|settings| settings.bus.stream_max_age = HOUR, "bus.stream_max_age = 1h: it must be from 7days to 1year"),
            (|settings| settings.limits.connections = usize::MAX, "limits.connections = 18446744073709551615"),
            (|settings| settings.drain = Duration::MAX, "drain = 584"),
        ];
        for (set, error) in cases {
            let mut settings = zero.clone();
            set(&mut settings);
            let refused = check(&settings).unwrap_err().to_string();
            assert!(refused.starts_with(error), "{refused}");
        }
    }
}
