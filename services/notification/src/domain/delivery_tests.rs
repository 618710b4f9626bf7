use std::time::Duration;

use super::*;

const POLICY: RetryPolicy = RetryPolicy {
    first_pause: Duration::from_secs(30),
    max_attempts: 3,
    max_repair_time: Duration::from_secs(7 * 24 * 3600),
    min_transcript_bytes: 256 * 1024,
};
const NOW: Time = Time(1_000_000_000_000_000);

fn not_composed() -> Delivery {
    Delivery::new(Uuid::from_u128(1), AccountId(Uuid::from_u128(2)), DeliveryKind::Transcript, NOW)
}

fn delivery() -> Delivery {
    Delivery { composed_at: Some(NOW), ..not_composed() }
}

fn attempt(delivery: &mut Delivery, outcome: AttemptOutcome) -> Option<DeliveryEvent> {
    delivery.begin_attempt(NOW.plus(Duration::from_secs(60)));
    delivery.record_attempt(outcome, &POLICY, NOW)
}

#[test]
fn t8_a_transient_failure_is_retried_and_keeps_the_servers_response() {
    let mut delivery = delivery();
    assert_eq!(attempt(&mut delivery, AttemptOutcome::TransientFailure("451 later".into())), None);
    assert_eq!((delivery.status, delivery.attempt_count), (DeliveryStatus::Queued, 1));
    assert_eq!(delivery.due_at, NOW.plus(Duration::from_secs(30)));
    assert_eq!(delivery.last_response, "451 later");
    attempt(&mut delivery, AttemptOutcome::TransientFailure("451 later".into()));
    assert_eq!(delivery.due_at, NOW.plus(Duration::from_secs(120)));
}

#[test]
fn t8_after_the_last_attempt_it_has_failed_and_a_person_may_retry() {
    let mut delivery = delivery();
    let failure = || AttemptOutcome::TransientFailure("451".into());
    for _ in 0..2 {
        assert_eq!(attempt(&mut delivery, failure()), None);
    }
    assert_eq!(attempt(&mut delivery, failure()), Some(DeliveryEvent::Failed));
    assert_eq!(delivery.retry(NOW), Ok(true));
    assert_eq!((delivery.status, delivery.due_at), (DeliveryStatus::Queued, NOW));
    // Attempts before the retry do not count towards the maximum.
    assert_eq!(attempt(&mut delivery, failure()), None);
    assert_eq!(delivery.attempt_count, 4);
}

#[test]
fn t8_a_permanent_failure_ends_the_delivery() {
    let mut delivery = delivery();
    let outcome = AttemptOutcome::PermanentFailure("550 unknown user".into());
    assert_eq!(attempt(&mut delivery, outcome), Some(DeliveryEvent::Failed));
    assert_eq!((delivery.status, delivery.last_response.as_str()), (DeliveryStatus::Failed, "550 unknown user"));
    assert_eq!(delivery.version, 1, "one event");
}

#[test]
fn t8_an_unknown_outcome_is_tried_once_more_and_then_parked() {
    let mut delivery = delivery();
    let unknown = || AttemptOutcome::Unknown("no answer".into());
    assert_eq!(attempt(&mut delivery, unknown()), None);
    assert_eq!(delivery.status, DeliveryStatus::Queued);
    assert_eq!(attempt(&mut delivery, unknown()), Some(DeliveryEvent::Parked));
    assert_eq!(delivery.status, DeliveryStatus::Parked);
    assert!(delivery.is_composed() && delivery.needs_mail(), "a retry sends the same bytes");
}

#[test]
fn t8_retrying_to_compose_counts_no_attempt() {
    let mut delivery = not_composed();
    for _ in 0..50 {
        delivery.retry_composing("unavailable".into(), &POLICY, NOW);
    }
    assert_eq!((delivery.status, delivery.attempt_count), (DeliveryStatus::Queued, 0));
    assert_eq!(delivery.due_at, NOW.plus(Duration::from_secs(480)));
}

#[test]
fn t5_a_retry_of_a_delivery_that_was_not_composed_asks_the_channel_for_its_sender() {
    let mut delivery = not_composed();
    assert_eq!(delivery.fail_composing("no sender".into()), DeliveryEvent::Failed);
    assert_eq!(delivery.retry(NOW), Ok(true));
    assert!(delivery.sender_from_channel);
}

#[test]
fn t8_retrying_and_cancelling_twice_change_nothing_and_a_sent_mail_stays_sent() {
    let mut delivery = self::delivery();
    assert_eq!(delivery.retry(NOW), Ok(false));
    assert_eq!(delivery.cancel(), Ok(true));
    assert_eq!(delivery.cancel(), Ok(false));
    assert_eq!(delivery.retry(NOW), Err(DeliveryStatus::Cancelled));
    let mut sent = self::delivery();
    assert_eq!(attempt(&mut sent, AttemptOutcome::Accepted("250 ok".into())), Some(DeliveryEvent::Sent));
    assert_eq!(sent.cancel(), Err(DeliveryStatus::Sent));
    assert_eq!(sent.retry(NOW), Err(DeliveryStatus::Sent));
    assert!(!sent.needs_mail());
}

#[test]
fn x2_an_erased_delivery_names_no_recipient_and_is_sent_no_more() {
    let mut queued = Delivery { subject: "For Vera".into(), last_response: "451 vera".into(), ..self::delivery() };
    let claim = queued.claim(NOW.plus(Duration::from_secs(15)));
    queued.erase();
    assert!(!queued.is_held_by(&claim) && !queued.needs_mail());
    assert_eq!((queued.status, queued.failure.as_str()), (DeliveryStatus::Cancelled, "The contact was erased."));
    let mut sent = Delivery { recipient_email: "vera@visitor.example".into(), ..self::delivery() };
    attempt(&mut sent, AttemptOutcome::Accepted("250 ok".into()));
    sent.erase();
    assert_eq!((sent.status, sent.failure.as_str()), (DeliveryStatus::Sent, ""));
    let mut code =
        Delivery { kind: DeliveryKind::AddressVerification, requested_by: "visitor:vera".into(), ..self::delivery() };
    code.erase();
    assert_eq!(code.requested_by, "");
    for erased in [queued, sent] {
        let texts = [&erased.recipient_email, &erased.subject, &erased.last_response];
        assert!(texts.iter().all(|text| text.is_empty()), "{erased:?}");
    }
}

#[test]
fn t8_a_change_of_state_ends_the_claim_of_the_worker() {
    let mut delivery = delivery();
    let claim = delivery.claim(NOW.plus(Duration::from_secs(15)));
    assert!(delivery.is_held_by(&claim) && !claim.interrupted);
    delivery.cancel().unwrap();
    assert!(!delivery.is_held_by(&claim));
}

#[test]
fn t8_a_claim_during_an_attempt_is_interrupted() {
    let mut delivery = delivery();
    delivery.begin_attempt(NOW);
    assert!(delivery.claim(NOW.plus(Duration::from_secs(15))).interrupted);
}

#[test]
fn t8_kinds_and_states_are_read_back_from_their_names() {
    for status in ["QUEUED", "SENDING", "SENT", "FAILED", "PARKED", "CANCELLED"] {
        assert_eq!(DeliveryStatus::parse(status).unwrap().as_str(), status);
    }
    for kind in ["TRANSCRIPT", "MANUAL_TRANSCRIPT", "SENDER_VERIFICATION", "ADDRESS_VERIFICATION", "AGENT_NOTICE"] {
        assert_eq!(DeliveryKind::parse(kind).unwrap().as_str(), kind);
    }
    assert_eq!(DeliveryStatus::parse(""), None);
}

#[test]
fn t8_a_fault_of_the_settings_waits_until_it_is_repaired_and_not_for_ever() {
    let mut delivery = delivery();
    for number in 1..=20 {
        assert_eq!(attempt(&mut delivery, AttemptOutcome::ConfigurationFault("535 no".into())), None);
        assert_eq!((delivery.status, delivery.attempt_count), (DeliveryStatus::Queued, number));
        assert_eq!(delivery.last_response, "535 no");
        assert!(delivery.due_at <= NOW.plus(Duration::from_secs(1_800)));
    }
    // They do not count: a transient failure afterwards is retried.
    assert_eq!(attempt(&mut delivery, AttemptOutcome::TransientFailure("451".into())), None);
    assert_eq!(delivery.due_at, NOW.plus(Duration::from_secs(30)));

    delivery.begin_attempt(NOW);
    let late = NOW.plus(POLICY.max_repair_time);
    let outcome = AttemptOutcome::ConfigurationFault("535 no".into());
    assert_eq!(delivery.record_attempt(outcome, &POLICY, late), Some(DeliveryEvent::Failed));
}

#[test]
fn t6_t8_a_mail_that_is_too_large_is_composed_smaller_until_nothing_would_be_left() {
    let mut delivery = delivery();
    let too_large = |max_bytes| AttemptOutcome::TooLarge { response: "552 5.3.4 no".into(), max_bytes };
    assert_eq!(attempt(&mut delivery, too_large(10_240_000)), None);
    assert_eq!((delivery.status, delivery.due_at), (DeliveryStatus::Queued, NOW));
    assert_eq!((delivery.is_composed(), delivery.max_transcript_bytes), (false, Some(7_168_000)));
    // An encoding that was larger than expected.
    attempt(&mut delivery, too_large(10_240_000));
    assert_eq!(delivery.max_transcript_bytes, Some(5_734_400));
    assert_eq!(attempt(&mut delivery, too_large(300_000)), Some(DeliveryEvent::Failed));
    // A person's retry begins with the setting again.
    assert_eq!(delivery.retry(NOW), Ok(true));
    assert_eq!(delivery.max_transcript_bytes, None);
}

#[test]
fn t5_x1_a_code_is_never_composed_again() {
    for kind in [DeliveryKind::SenderVerification, DeliveryKind::AddressVerification] {
        let mut code = Delivery { kind, ..delivery() };
        attempt(&mut code, AttemptOutcome::PermanentFailure("550".into()));
        assert_eq!((code.retry(NOW), code.is_composed(), code.sender_from_channel), (Ok(true), true, false));
        let too_large = AttemptOutcome::TooLarge { response: "552".into(), max_bytes: 1_000_000 };
        assert_eq!(attempt(&mut code, too_large), Some(DeliveryEvent::Failed));
    }
}

#[test]
fn t8_a_mail_that_was_composed_is_due_at_once_and_its_claim_has_ended() {
    let later = NOW.plus(Duration::from_secs(15));
    let mut delivery = not_composed();
    let claim = delivery.claim(later);
    delivery.set_composed("a@acme.example".into(), "v@visitor.example".into(), "<1@acme.example>".into(), later);
    delivery.release(later);
    assert_eq!((delivery.status, delivery.due_at, delivery.claimed), (DeliveryStatus::Queued, NOW, false));
    assert!(!delivery.is_held_by(&claim) && delivery.is_composed());
    // The database's clock was set back since it was created.
    delivery.claim(later);
    delivery.release(Time(0));
    assert_eq!(delivery.due_at, Time(0));
}

#[test]
fn t5_t8_a_composed_mail_comes_from_its_sender_as_it_was_then() {
    let mut sender =
        Sender::new(Uuid::from_u128(3), AccountId(Uuid::from_u128(2)), "a@acme.example".into(), "Acme".into(), NOW);
    let mut transcript = delivery();
    assert!(!transcript.may_come_from(None) && !transcript.may_come_from(Some(&sender)), "it is not verified");
    sender.verified = true;
    assert!(transcript.may_come_from(Some(&sender)));
    sender.updated_at = NOW.plus(Duration::from_secs(1));
    assert!(!transcript.may_come_from(Some(&sender)));
    // The first mail may have arrived, under the name that it had.
    transcript.unknown_outcomes = 1;
    assert!(transcript.may_come_from(Some(&sender)));
    let code = Delivery { kind: DeliveryKind::SenderVerification, ..delivery() };
    assert!(code.may_come_from(None));
}
