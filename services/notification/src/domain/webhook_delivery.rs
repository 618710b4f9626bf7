//! One event for one endpoint, and what becomes of it.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::retry_policy::growing_pause;

/// Status with which a receiver says that it wants no events any more, by Standard Webhooks.
const GONE: u16 = 410;
/// Maximum pause that a receiver can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(4 * 3600);

/// What becomes of an event at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WebhookDeliveryStatus {
    /// It waits for its next attempt, or is in progress.
    Queued,
    /// The receiver confirmed it.
    Sent,
    /// Every attempt failed, or the endpoint was deleted.
    Failed,
}

impl WebhookDeliveryStatus {
    const ALL: [Self; 3] = [Self::Queued, Self::Sent, Self::Failed];

    /// Returns its name in rows.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Sent => "SENT",
            Self::Failed => "FAILED",
        }
    }

    /// Returns the status with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// One event for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebhookDelivery {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) endpoint: Uuid,
    pub(crate) event: QueuedEvent,
    pub(crate) status: WebhookDeliveryStatus,
    pub(crate) attempt_count: i32,
    /// Number of attempts that failed, since it was queued or replayed.
    pub(crate) failures: i32,
    /// Number of claims so far. A holder that does not have the last one has lost the delivery.
    pub(crate) claim: i64,
    pub(crate) claimed: bool,
    /// When the next attempt is due; of a claimed one, the end of the claim.
    pub(crate) due_at: Time,
    /// Status of the receiver's last answer. 0: there was none.
    pub(crate) response_status: i32,
    /// The beginning of its body.
    pub(crate) response_body: String,
    pub(crate) response_duration: Duration,
    /// Why the last attempt failed. Empty: it did not.
    pub(crate) failure: String,
    pub(crate) created_at: Time,
    pub(crate) attempted_at: Option<Time>,
}

/// The event of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueuedEvent {
    pub(crate) id: Uuid,
    /// Full name of its message.
    pub(crate) kind: String,
    /// The service that owns the aggregate.
    pub(crate) source: String,
    pub(crate) aggregate: Uuid,
    pub(crate) version: i64,
    /// The body of the requests.
    pub(crate) payload: String,
    /// W3C trace context of the call that caused it.
    pub(crate) traceparent: String,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebhookOutcome {
    /// Status of the receiver's answer. None: there was none.
    pub(crate) status: Option<u16>,
    /// The beginning of its body.
    pub(crate) body: String,
    /// Why it failed. None: the receiver confirmed the event.
    pub(crate) failure: Option<String>,
    /// How long it took.
    pub(crate) duration: Duration,
    /// After which pause the receiver wants the next attempt.
    pub(crate) retry_after: Option<Duration>,
}

impl WebhookOutcome {
    /// An attempt without an answer.
    pub(crate) fn unanswered(failure: String, duration: Duration) -> Self {
        Self { status: None, body: String::new(), failure: Some(failure), duration, retry_after: None }
    }

    /// An answer: it confirms the event with a status from 200 to 299.
    pub(crate) fn answered(status: u16, body: String, duration: Duration) -> Self {
        let failure = match status {
            200..=299 => None,
            300..=399 => Some(format!("the receiver answered {status}; redirects are not followed")),
            GONE => Some(format!("the receiver answered {status}; the endpoint was disabled")),
            _ => Some(format!("the receiver answered {status}")),
        };
        Self { status: Some(status), body, failure, duration, retry_after: None }
    }

    /// Returns whether the receiver confirmed the event.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.failure.is_none()
    }

    /// Returns whether the receiver wants no events any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.status == Some(GONE)
    }
}

/// The deliveries that a replay is about.
#[derive(Clone, Debug)]
pub(crate) struct ReplaySpan {
    /// Created not before it.
    pub(crate) starts_at: Option<Time>,
    /// Created before it.
    pub(crate) ends_at: Option<Time>,
    /// Only those that have failed.
    pub(crate) only_failed: bool,
}

/// When and how often a delivery is attempted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WebhookPolicy {
    /// Pause after the first failed attempt.
    pub(crate) first_pause: Duration,
    /// Number of attempts after which a delivery has failed.
    pub(crate) max_attempts: i32,
}

impl WebhookDelivery {
    /// Returns a delivery that is due at some time.
    pub(crate) fn new(
        id: Uuid,
        account: AccountId,
        endpoint: Uuid,
        event: QueuedEvent,
        due_at: Time,
        now: Time,
    ) -> Self {
        Self {
            id,
            account,
            endpoint,
            event,
            status: WebhookDeliveryStatus::Queued,
            attempt_count: 0,
            failures: 0,
            claim: 0,
            claimed: false,
            due_at,
            response_status: 0,
            response_body: String::new(),
            response_duration: Duration::ZERO,
            failure: String::new(),
            created_at: now,
            attempted_at: None,
        }
    }

    /// Records the outcome of an attempt, which ends the claim.
    pub(crate) fn record_attempt(&mut self, outcome: WebhookOutcome, policy: &WebhookPolicy, now: Time) {
        self.attempt_count += 1;
        self.claimed = false;
        self.attempted_at = Some(now);
        self.response_status = outcome.status.map_or(0, i32::from);
        self.response_body = outcome.body;
        self.response_duration = outcome.duration;
        let retry_after = outcome.retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        let Some(failure) = outcome.failure else {
            self.status = WebhookDeliveryStatus::Sent;
            self.failure = String::new();
            return;
        };
        self.failure = failure;
        self.failures += 1;
        match self.failures < policy.max_attempts {
            true => self.due_at = now.plus(self.pause(policy).max(retry_after)),
            false => self.status = WebhookDeliveryStatus::Failed,
        }
    }

    /// Returns the pause before the next attempt: up to a tenth shorter or longer, so that what failed together is not sent together again.
    fn pause(&self, policy: &WebhookPolicy) -> Duration {
        let per_mille = 900 + u32::try_from(self.id.as_u128() % 201).unwrap_or(0);
        growing_pause(policy.first_pause, self.failures) * per_mille / 1_000
    }

    /// Sends it again, at once and with all its attempts. One that is in progress stays so.
    pub(crate) fn replay(&mut self, now: Time) {
        self.failures = 0;
        if !self.claimed {
            self.status = WebhookDeliveryStatus::Queued;
            self.due_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000_000_000_000_000);
    const POLICY: WebhookPolicy = WebhookPolicy { first_pause: Duration::from_secs(30), max_attempts: 3 };

    /// Its pauses are neither shorter nor longer.
    fn delivery() -> WebhookDelivery {
        let event = QueuedEvent {
            id: Uuid::from_u128(4),
            kind: "frontdesk.event.v1.MessagePosted".into(),
            source: "conversation".into(),
            aggregate: Uuid::from_u128(5),
            version: 1,
            payload: "{}".into(),
            traceparent: String::new(),
        };
        let (id, account, endpoint) = (Uuid::from_u128(100), AccountId(Uuid::from_u128(2)), Uuid::from_u128(3));
        WebhookDelivery::new(id, account, endpoint, event, NOW, NOW)
    }

    fn answered(status: u16) -> WebhookOutcome {
        WebhookOutcome::answered(status, "words".into(), Duration::from_millis(7))
    }

    #[test]
    fn i17_any_success_confirms_an_event_and_nothing_else_does() {
        for status in [200, 202, 204, 299] {
            assert!(answered(status).is_confirmed(), "{status}");
        }
        for status in [199, 301, 302, 400, 404, 410, 429, 500, 503] {
            assert!(!answered(status).is_confirmed(), "{status}");
        }
        assert!(answered(302).failure.unwrap().contains("not followed"));
        assert!(!WebhookOutcome::unanswered("no answer".into(), Duration::ZERO).is_confirmed());
    }

    #[test]
    fn i17_pauses_grow_until_the_attempts_are_used_up_and_a_replay_begins_anew() {
        let mut delivery = delivery();
        let mut pauses = Vec::new();
        for _ in 0..3 {
            delivery.record_attempt(answered(500), &POLICY, NOW);
            pauses.push(delivery.due_at.since(NOW).as_secs());
        }
        assert_eq!((&pauses[..2], delivery.status), (&[30, 120][..], WebhookDeliveryStatus::Failed));
        assert_eq!((delivery.response_status, delivery.failure.as_str()), (500, "the receiver answered 500"));
        delivery.replay(NOW);
        assert_eq!((delivery.status, delivery.failures), (WebhookDeliveryStatus::Queued, 0));
        delivery.record_attempt(answered(204), &POLICY, NOW);
        assert_eq!((delivery.status, delivery.attempt_count), (WebhookDeliveryStatus::Sent, 4));
        assert!(delivery.failure.is_empty());
    }

    #[test]
    fn i17_pauses_differ_by_a_tenth_and_are_as_long_as_the_receiver_asks() {
        let pause = |id: u128, retry_after: Option<u64>| {
            let mut delivery = WebhookDelivery { id: Uuid::from_u128(id), ..delivery() };
            let retry_after = retry_after.map(Duration::from_secs);
            delivery.record_attempt(WebhookOutcome { retry_after, ..answered(429) }, &POLICY, NOW);
            delivery.due_at.since(NOW).as_secs()
        };
        assert_eq!([0, 100, 200].map(|id| pause(id, None)), [27, 30, 33]);
        assert_eq!([1, 60, u64::MAX].map(|seconds| pause(100, Some(seconds))), [30, 60, 4 * 3600]);
    }

    #[test]
    fn i17_a_replay_of_a_delivery_in_progress_leaves_its_claim() {
        let mut delivery = WebhookDelivery { claimed: true, due_at: NOW.plus(Duration::from_secs(9)), ..delivery() };
        let before = delivery.clone();
        delivery.replay(NOW);
        assert_eq!(delivery, before);
    }

    #[test]
    fn i17_a_stored_status_is_read_back() {
        for status in WebhookDeliveryStatus::ALL {
            assert_eq!(WebhookDeliveryStatus::parse(status.as_str()), Some(status));
        }
    }
}
