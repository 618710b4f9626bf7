//! Endpoints of webhooks: which events they get, the secrets that sign the requests, and when they are disabled.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

/// Maximum difference between the clocks of two services that is allowed for.
pub(super) const MAX_CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);

/// Which secret of an endpoint signs a request: it is derived, and stored nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretVersion {
    /// 1, 2, 3 … for each endpoint.
    pub(crate) number: i32,
    /// Id of the installation's secret that it is derived from.
    pub(crate) source: String,
}

/// An address that events are posted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebhookEndpoint {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) url: String,
    pub(crate) description: String,
    /// Full names of the events' messages. Empty: all.
    pub(crate) event_types: Vec<String>,
    /// The events of an aggregate are sent in the order of their versions.
    pub(crate) ordered: bool,
    pub(crate) enabled: bool,
    pub(crate) disabled_by_failures: bool,
    /// Since when every attempt has failed.
    pub(crate) failing_since: Option<Time>,
    pub(crate) secret: SecretVersion,
    /// The secret before, with the end of its validity.
    pub(crate) previous_secret: Option<(SecretVersion, Time)>,
    /// Number of its events so far: their version.
    pub(crate) event_version: i64,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    pub(crate) deleted_at: Option<Time>,
    /// 1 at its creation; rises with each change, but not with attempts; also the etag.
    pub(crate) version: i64,
}

/// The fields to change. None: unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct WebhookEndpointChange {
    pub(crate) url: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) event_types: Option<Vec<String>>,
    pub(crate) ordered: Option<bool>,
    pub(crate) enabled: Option<bool>,
}

/// The endpoint was edited since the caller read it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WebhookEndpointEdited;

impl WebhookEndpoint {
    /// Returns an enabled endpoint for all events.
    pub(crate) fn new(id: Uuid, account: AccountId, url: String, secret_source: &str, now: Time) -> Self {
        Self {
            id,
            account,
            url,
            description: String::new(),
            event_types: Vec::new(),
            ordered: false,
            enabled: true,
            disabled_by_failures: false,
            failing_since: None,
            secret: SecretVersion { number: 1, source: secret_source.to_owned() },
            previous_secret: None,
            event_version: 0,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            version: 1,
        }
    }

    /// Returns the etag.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Returns whether it gets an event of this type. It gets none from before its creation, of which a broker may still hold some.
    pub(crate) fn wants(&self, event_type: &str, happened_at: Option<Time>) -> bool {
        let is_older = happened_at.is_some_and(|at| at.plus(MAX_CLOCK_DIFFERENCE) < self.created_at);
        !is_older && (self.event_types.is_empty() || self.event_types.iter().any(|wanted| wanted == event_type))
    }

    /// Changes the fields; an empty `etag` changes them unconditionally. Returns false when it has this content already, whatever the
    /// etag.
    pub(crate) fn update(
        &mut self,
        change: WebhookEndpointChange,
        etag: &str,
        now: Time,
    ) -> Result<bool, WebhookEndpointEdited> {
        let mut changed = self.clone();
        changed.url = change.url.unwrap_or(changed.url);
        changed.description = change.description.unwrap_or(changed.description);
        changed.event_types = change.event_types.unwrap_or(changed.event_types);
        changed.ordered = change.ordered.unwrap_or(changed.ordered);
        changed.enabled = change.enabled.unwrap_or(changed.enabled);
        if change.enabled.is_some() {
            changed.disabled_by_failures = false;
        }
        if changed.enabled && !self.enabled {
            // It has as much time as a new one.
            changed.failing_since = None;
        }
        if changed == *self {
            return Ok(false);
        }
        if !etag.is_empty() && etag != self.etag() {
            return Err(WebhookEndpointEdited);
        }
        *self = changed;
        self.mark_changed(now);
        Ok(true)
    }

    /// Gives it a new secret, derived from the installation's with this id. The one before stays valid for `keep_previous`.
    pub(crate) fn rotate_secret(&mut self, source: &str, keep_previous: Duration, now: Time) {
        let secret = SecretVersion { number: self.secret.number + 1, source: source.to_owned() };
        let previous = std::mem::replace(&mut self.secret, secret);
        self.previous_secret = Some((previous, now.plus(keep_previous)));
        self.mark_changed(now);
    }

    /// Returns the secrets that sign a request now, the newest first.
    pub(crate) fn valid_secrets(&self, now: Time) -> impl Iterator<Item = &SecretVersion> {
        let previous = self.previous_secret.as_ref().filter(|(_, ends_at)| now < *ends_at);
        std::iter::once(&self.secret).chain(previous.map(|(secret, _)| secret))
    }

    /// Deletes it, with the account's words and address.
    pub(crate) fn delete(&mut self, now: Time) {
        self.deleted_at = Some(now);
        (self.url, self.description) = (String::new(), String::new());
        self.enabled = false;
        self.mark_changed(now);
    }

    /// Returns whether [`Self::note_failure`] changes it.
    pub(crate) fn is_changed_by_failure(&self, is_gone: bool, disable_after: Duration, now: Time) -> bool {
        let mut changed = self.clone();
        changed.note_failure(is_gone, disable_after, now);
        changed != *self
    }

    /// Notes that an attempt failed. `is_gone`: its receiver wants no events any more. Returns whether that disables the endpoint, for which an
    /// event is due.
    pub(crate) fn note_failure(&mut self, is_gone: bool, disable_after: Duration, now: Time) -> bool {
        let since = *self.failing_since.get_or_insert(now);
        let is_due = is_gone || now.since(since) >= disable_after;
        if !self.enabled || !is_due {
            return false;
        }
        (self.enabled, self.disabled_by_failures) = (false, true);
        self.event_version += 1;
        self.mark_changed(now);
        true
    }

    fn mark_changed(&mut self, now: Time) {
        self.updated_at = now;
        self.version += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000_000_000_000_000);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn endpoint() -> WebhookEndpoint {
        let account = AccountId(Uuid::from_u128(2));
        WebhookEndpoint::new(Uuid::from_u128(1), account, "https://hooks.example/".into(), "a", NOW)
    }

    fn numbers(endpoint: &WebhookEndpoint, now: Time) -> Vec<i32> {
        endpoint.valid_secrets(now).map(|secret| secret.number).collect()
    }

    #[test]
    fn c12_an_update_changes_what_is_given_and_needs_the_etag_only_for_a_change() {
        let mut endpoint = endpoint();
        let change = WebhookEndpointChange { enabled: Some(false), ..Default::default() };
        assert_eq!(endpoint.update(change.clone(), "1", NOW), Ok(true));
        assert_eq!((endpoint.update(change, "1", NOW), endpoint.version), (Ok(false), 2));
        let other = WebhookEndpointChange { ordered: Some(true), ..Default::default() };
        assert_eq!(endpoint.update(other, "1", NOW), Err(WebhookEndpointEdited));
    }

    #[test]
    fn s4_both_secrets_are_valid_until_the_previous_one_ends() {
        let mut endpoint = endpoint();
        assert_eq!(numbers(&endpoint, NOW), [1]);
        endpoint.rotate_secret("b", DAY, NOW);
        assert_eq!(numbers(&endpoint, NOW), [2, 1]);
        assert_eq!(numbers(&endpoint, NOW.plus(DAY)), [2]);
        endpoint.rotate_secret("b", Duration::ZERO, NOW);
        assert_eq!(numbers(&endpoint, NOW), [3], "a leaked secret signs nothing any more");
    }

    #[test]
    fn i17_only_failures_without_a_success_for_the_whole_time_disable_an_endpoint() {
        let mut endpoint = endpoint();
        assert!(!endpoint.note_failure(false, DAY, NOW));
        // A success.
        endpoint.failing_since = None;
        assert!(endpoint.is_changed_by_failure(false, DAY, NOW.plus(DAY)));
        assert!(!endpoint.note_failure(false, DAY, NOW.plus(DAY)));
        assert!(!endpoint.is_changed_by_failure(false, DAY, NOW.plus(DAY)));
        assert!(endpoint.note_failure(false, DAY, NOW.plus(2 * DAY)));
        assert!(!endpoint.enabled && endpoint.disabled_by_failures);
        assert!(!endpoint.note_failure(false, DAY, NOW.plus(3 * DAY)), "once");
        let enable = WebhookEndpointChange { enabled: Some(true), ..Default::default() };
        endpoint.update(enable, "", NOW.plus(3 * DAY)).unwrap();
        assert!(endpoint.enabled && !endpoint.disabled_by_failures && endpoint.failing_since.is_none());
    }

    #[test]
    fn i17_a_receiver_that_wants_no_events_disables_its_endpoint() {
        let mut endpoint = endpoint();
        assert!(endpoint.is_changed_by_failure(true, DAY, NOW) && endpoint.note_failure(true, DAY, NOW));
        assert!(!endpoint.enabled && endpoint.disabled_by_failures && endpoint.event_version == 1, "{endpoint:?}");
    }

    #[test]
    fn i17_an_endpoint_gets_the_types_that_it_names_or_all_since_its_creation() {
        let mut endpoint = endpoint();
        assert!(endpoint.wants("frontdesk.event.v1.MessagePosted", None));
        assert!(endpoint.wants("frontdesk.event.v1.MessagePosted", Some(NOW)));
        assert!(!endpoint.wants("frontdesk.event.v1.MessagePosted", Some(NOW.minus(DAY))));
        endpoint.event_types = vec!["frontdesk.event.v1.ConversationClosed".into()];
        assert!(endpoint.wants("frontdesk.event.v1.ConversationClosed", Some(NOW)));
        assert!(!endpoint.wants("frontdesk.event.v1.MessagePosted", Some(NOW)));
    }
}
