//! One mail to one recipient, and what follows from each attempt (rule T8): a permanent failure ends it, a transient failure
//! is retried after a growing pause, a fault of the settings waits until it is repaired, a mail that is too large is composed
//! smaller, and an unknown outcome is retried once and then parked for a person.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{AttemptOutcome, Bounce, Claim, DeliveryEvent, DeliveryKind, DeliveryStatus, RetryPolicy, Sender};

/// One mail to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) kind: DeliveryKind,
    pub(crate) status: DeliveryStatus,
    pub(crate) conversation: Option<Uuid>,
    /// The close whose transcript is mailed. 0: it was not sent automatically.
    pub(crate) close_number: i32,
    pub(crate) contact: Option<Uuid>,
    /// The sender stored at the close; for a verification, the sender to verify.
    pub(crate) sender: Option<Uuid>,
    /// True: the channel's current sender is used instead of `sender`.
    pub(crate) sender_from_channel: bool,
    /// Sequence of the last entry in the transcript.
    pub(crate) until_sequence: i32,
    /// The recipient's address was not verified at the close.
    pub(crate) unverified: bool,
    /// The actor who requested it. Empty: it was sent automatically.
    pub(crate) requested_by: String,
    /// Empty: it is not known before the mail is composed.
    pub(crate) recipient_email: String,
    /// The requested subject. Empty: the default one.
    pub(crate) subject: String,
    /// The requested time zone. Empty: the contact's.
    pub(crate) time_zone: String,
    /// Maximum size of the transcript in the mail (bytes), which the mail server's maximum set. None: the setting's.
    pub(crate) max_transcript_bytes: Option<usize>,
    pub(crate) mail_from: String,
    pub(crate) mail_message_id: String,
    /// Date of the mail. None: it is not composed yet.
    pub(crate) composed_at: Option<Time>,
    pub(crate) compose_failures: i32,
    pub(crate) attempt_count: i32,
    /// Attempts before the last retry by a person; they do not count towards the maximum.
    pub(crate) attempts_before_retry: i32,
    pub(crate) unknown_outcomes: i32,
    pub(crate) last_response: String,
    /// Why it failed or waits. Empty: it does neither.
    pub(crate) failure: String,
    /// Rises with each claim and each change of status, which ends an earlier [`Claim`].
    pub(crate) claim_number: i64,
    /// A worker holds it until `due_at`.
    pub(crate) claimed: bool,
    pub(crate) due_at: Time,
    pub(crate) created_at: Time,
    pub(crate) sent_at: Option<Time>,
    /// W3C trace context of the call or event that created it; the store sets it on insert.
    pub(crate) traceparent: String,
    /// What was reported of it after a mail server had accepted it. None: nothing.
    pub(crate) bounce: Option<Bounce>,
    /// Number of published events.
    pub(crate) version: i64,
}

impl Delivery {
    /// Returns a queued delivery, due immediately.
    pub(crate) fn new(id: Uuid, account: AccountId, kind: DeliveryKind, now: Time) -> Self {
        Self {
            id,
            account,
            kind,
            status: DeliveryStatus::Queued,
            conversation: None,
            close_number: 0,
            contact: None,
            sender: None,
            sender_from_channel: false,
            until_sequence: 0,
            unverified: false,
            requested_by: String::new(),
            recipient_email: String::new(),
            subject: String::new(),
            time_zone: String::new(),
            max_transcript_bytes: None,
            mail_from: String::new(),
            mail_message_id: String::new(),
            composed_at: None,
            compose_failures: 0,
            attempt_count: 0,
            attempts_before_retry: 0,
            unknown_outcomes: 0,
            last_response: String::new(),
            failure: String::new(),
            claim_number: 0,
            claimed: false,
            due_at: now,
            created_at: now,
            sent_at: None,
            traceparent: String::new(),
            bounce: None,
            version: 0,
        }
    }

    /// Returns whether the mail is composed and its bytes are stored: every attempt sends the same bytes.
    pub(crate) fn is_composed(&self) -> bool {
        self.composed_at.is_some()
    }

    /// Sets what the composed mail says about itself.
    pub(crate) fn set_composed(&mut self, from: String, recipient: String, message_id: String, date: Time) {
        self.mail_from = from;
        self.recipient_email = recipient;
        self.mail_message_id = message_id;
        self.composed_at = Some(date);
        self.failure = String::new();
    }

    /// Returns whether the composed mail may still be sent, so that its bytes are kept.
    pub(crate) fn needs_mail(&self) -> bool {
        self.is_composed() && !matches!(self.status, DeliveryStatus::Sent | DeliveryStatus::Cancelled)
    }

    /// Returns whether the composed mail may still come from its sender, which was neither deleted nor changed since. After an unknown outcome
    /// a mail with another name would be shown beside the first.
    pub(crate) fn may_come_from(&self, sender: Option<&Sender>) -> bool {
        if self.kind.is_from_installation() {
            return true;
        }
        let Some(sender) = sender.filter(|sender| sender.verified) else { return false };
        let changed = self.composed_at.is_some_and(|composed_at| sender.updated_at > composed_at);
        !changed || self.unknown_outcomes > 0
    }

    /// Requires a new mail before the next attempt. It keeps its Message-ID, so that mail clients show both as one.
    pub(crate) fn compose_again(&mut self) {
        self.composed_at = None;
    }

    /// Claims the delivery for a worker until `until`, which ends an earlier claim.
    pub(crate) fn claim(&mut self, until: Time) -> Claim {
        self.claim_number += 1;
        self.claimed = true;
        self.due_at = until;
        Claim {
            account: self.account,
            delivery: self.id,
            number: self.claim_number,
            interrupted: self.status == DeliveryStatus::Sending,
            traceparent: self.traceparent.clone(),
        }
    }

    /// Returns whether the claim still holds the delivery.
    pub(crate) fn is_held_by(&self, claim: &Claim) -> bool {
        self.claim_number == claim.number
    }

    /// Ends the claim of the worker that composed the mail: it is due for its attempt, before later ones that are not composed yet.
    pub(crate) fn release(&mut self, now: Time) {
        self.claimed = false;
        self.claim_number += 1;
        self.due_at = self.created_at.min(now);
    }

    /// Begins an attempt; the worker holds the delivery until `until`.
    pub(crate) fn begin_attempt(&mut self, until: Time) {
        self.status = DeliveryStatus::Sending;
        self.attempt_count += 1;
        self.claimed = true;
        self.due_at = until;
    }

    /// Queues the delivery again after a transient failure to compose it. The mail server has not seen the mail, so no
    /// attempt is counted.
    pub(crate) fn retry_composing(&mut self, reason: String, policy: &RetryPolicy, now: Time) {
        // Maximum step of the pauses (8 min): asking the conversation service again costs no mail.
        const MAX_STEP: i32 = 3;
        self.compose_failures += 1;
        self.queue(reason, now.plus(policy.pause_after(self.compose_failures.min(MAX_STEP))));
    }

    /// Fails a delivery that cannot be composed.
    pub(crate) fn fail_composing(&mut self, reason: String) -> DeliveryEvent {
        self.fail(reason)
    }

    /// Records the outcome of the attempt. Returns the event to publish, if any.
    pub(crate) fn record_attempt(
        &mut self,
        outcome: AttemptOutcome,
        policy: &RetryPolicy,
        now: Time,
    ) -> Option<DeliveryEvent> {
        match outcome {
            AttemptOutcome::Accepted(response) => {
                self.enter(DeliveryStatus::Sent);
                self.last_response = response;
                self.failure = String::new();
                self.sent_at = Some(now);
                Some(self.publish(DeliveryEvent::Sent))
            }
            AttemptOutcome::PermanentFailure(response) | AttemptOutcome::RecipientRefused { response, .. } => {
                self.last_response = response;
                Some(
                    self.fail("The mail server refused the mail permanently; its response is in last_response.".into()),
                )
            }
            AttemptOutcome::TooLarge { response, max_bytes } => {
                self.last_response = response;
                self.compose_smaller(max_bytes, policy, now)
            }
            AttemptOutcome::ConfigurationFault(response) => {
                self.last_response = response;
                if now.since(self.created_at) >= policy.max_repair_time {
                    return Some(
                        self.fail("The mail server refuses every mail; its response is in last_response.".into()),
                    );
                }
                let reason = "The settings of the mail server have to be repaired; it is tried again.".into();
                self.queue(reason, now.plus(policy.pause_until_repaired(self.attempt_count)));
                // The attempt says nothing about the mail, so it does not count towards the maximum.
                self.attempts_before_retry += 1;
                None
            }
            AttemptOutcome::TransientFailure(response) => {
                self.last_response = response;
                let counted = self.attempt_count - self.attempts_before_retry;
                if counted >= policy.max_attempts {
                    return Some(self.fail(format!("It was tried {counted} times; no attempt is left.")));
                }
                let reason = "The mail server did not accept the mail yet; it is tried again.".into();
                self.queue(reason, now.plus(policy.pause_after(counted)));
                None
            }
            AttemptOutcome::Unknown(response) => {
                self.last_response = response;
                self.record_unknown_outcome(policy, now)
            }
        }
    }

    /// Queues the delivery to compose a smaller mail at once, or fails it when a smaller one would hold nothing.
    fn compose_smaller(&mut self, max_mail_bytes: usize, policy: &RetryPolicy, now: Time) -> Option<DeliveryEvent> {
        // Share of a mail that the transcript may have before it is encoded: base64 needs 1.37 bytes for each.
        let encoded = max_mail_bytes / 10 * 7;
        // A transcript whose encoding was larger than that becomes smaller each time.
        let smaller = self.max_transcript_bytes.map_or(encoded, |max| encoded.min(max / 10 * 8));
        if self.kind.has_code() || smaller < policy.min_transcript_bytes {
            return Some(self.fail("The mail server does not take a mail of this size.".into()));
        }
        self.max_transcript_bytes = Some(smaller);
        self.compose_again();
        self.queue("The mail is too large for the mail server; a smaller one is composed.".into(), now);
        None
    }

    /// Records that the server may or may not have accepted the mail. It is sent once more, byte for byte under the same
    /// Message-ID, so that mail clients show one; after a second unknown outcome a person decides.
    pub(crate) fn record_unknown_outcome(&mut self, policy: &RetryPolicy, now: Time) -> Option<DeliveryEvent> {
        self.unknown_outcomes += 1;
        if self.unknown_outcomes == 1 {
            let reason =
                "The mail was sent and the server did not answer; it is sent once more under the same Message-ID."
                    .into();
            self.queue(reason, now.plus(policy.pause_after(1)));
            return None;
        }
        self.enter(DeliveryStatus::Parked);
        self.failure =
            "The mail was sent twice and the server did not answer: check whether it arrived, then retry or cancel."
                .into();
        Some(self.publish(DeliveryEvent::Parked))
    }

    /// Queues an interrupted attempt again, where the transport is idempotent.
    pub(crate) fn requeue(&mut self, now: Time) {
        self.queue("The attempt was interrupted; it is tried again.".into(), now);
    }

    /// Queues the delivery again at a person's request. Returns false when it is queued already, and the status that does
    /// not allow it as an error.
    pub(crate) fn retry(&mut self, now: Time) -> Result<bool, DeliveryStatus> {
        match self.status {
            DeliveryStatus::Queued => Ok(false),
            DeliveryStatus::Failed | DeliveryStatus::Parked => {
                self.queue(String::new(), now);
                self.attempts_before_retry = self.attempt_count;
                self.unknown_outcomes = 0;
                self.compose_failures = 0;
                // What stood in the way is repaired in the settings, in the channel's or in the contact's: the transcript is
                // composed anew by them, and the channel is asked again for its sender (rule T5). Only the mail has a code.
                if !self.kind.has_code() {
                    self.compose_again();
                    self.max_transcript_bytes = None;
                    self.sender_from_channel = true;
                }
                Ok(true)
            }
            status => Err(status),
        }
    }

    /// Cancels the delivery at a person's request. Returns false when it is cancelled already, and the status that does not
    /// allow it as an error.
    pub(crate) fn cancel(&mut self) -> Result<bool, DeliveryStatus> {
        match self.status {
            DeliveryStatus::Cancelled => Ok(false),
            DeliveryStatus::Queued | DeliveryStatus::Failed | DeliveryStatus::Parked => {
                self.enter(DeliveryStatus::Cancelled);
                Ok(true)
            }
            status => Err(status),
        }
    }

    /// Records what was reported of the mail. Returns false when it says nothing new.
    pub(crate) fn report(&mut self, bounce: Bounce) -> bool {
        let is_news = bounce.is_news_after(self.bounce.as_ref());
        if is_news {
            self.bounce = Some(bounce);
        }
        is_news
    }

    /// Erases what it says of the recipient, whose contact was erased (rule X2). One that was not sent is cancelled, which ends the claim
    /// of a worker that composes it.
    pub(crate) fn erase(&mut self) {
        if self.status != DeliveryStatus::Sent {
            self.enter(DeliveryStatus::Cancelled);
            self.failure = "The contact was erased.".into();
        }
        for text in [&mut self.recipient_email, &mut self.subject, &mut self.last_response] {
            text.clear();
        }
        // A visitor asked for it.
        if self.kind.has_code() {
            self.requested_by.clear();
        }
    }

    fn queue(&mut self, reason: String, due_at: Time) {
        self.enter(DeliveryStatus::Queued);
        self.failure = reason;
        self.due_at = due_at;
    }

    fn fail(&mut self, reason: String) -> DeliveryEvent {
        self.enter(DeliveryStatus::Failed);
        self.failure = reason;
        self.publish(DeliveryEvent::Failed)
    }

    /// Changes the status, which ends the claim of the worker that holds the delivery.
    fn enter(&mut self, status: DeliveryStatus) {
        self.status = status;
        self.claimed = false;
        self.claim_number += 1;
    }

    fn publish(&mut self, event: DeliveryEvent) -> DeliveryEvent {
        self.version += 1;
        event
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
