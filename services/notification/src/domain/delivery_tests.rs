use super::*;

const PAUSES: Pauses = Pauses { first: Duration::from_secs(30), max_attempts: 3 };
const NOW: Time = Time(1_000_000_000_000_000);

fn delivery() -> Delivery {
    Delivery {
        composed_at: Some(NOW),
        ..Delivery::new(AccountId(frontdesk_clock::testing::new_id()), Kind::Transcript, NOW)
    }
}

fn attempt(delivery: &mut Delivery, outcome: AttemptOutcome) -> Option<Changed> {
    delivery.begin_attempt(NOW.plus(Duration::from_secs(60)));
    delivery.attempted(outcome, &PAUSES, NOW)
}

#[test]
fn t8_pauses_grow_from_half_a_minute_to_four_hours() {
    let seconds: Vec<u64> = (1..=9).map(|failures| PAUSES.after(failures).as_secs()).collect();
    assert_eq!(seconds, [30, 120, 480, 1800, 3600, 7200, 14400, 14400, 14400]);
}

#[test]
fn t8_what_may_pass_is_tried_again_and_keeps_the_servers_words() {
    let mut delivery = delivery();
    assert_eq!(attempt(&mut delivery, AttemptOutcome::MayPass("451 later".into())), None);
    assert_eq!((delivery.state, delivery.attempts), (State::Queued, 1));
    assert_eq!(delivery.due_at, NOW.plus(Duration::from_secs(30)));
    assert_eq!(delivery.last_response, "451 later");
    attempt(&mut delivery, AttemptOutcome::MayPass("451 later".into()));
    assert_eq!(delivery.due_at, NOW.plus(Duration::from_secs(120)));
}

#[test]
fn t8_after_the_last_attempt_it_has_failed_and_a_person_may_retry() {
    let mut delivery = delivery();
    for _ in 0..2 {
        assert_eq!(attempt(&mut delivery, AttemptOutcome::MayPass("451".into())), None);
    }
    assert_eq!(attempt(&mut delivery, AttemptOutcome::MayPass("451".into())), Some(Changed::Failed));
    assert_eq!(delivery.retry(NOW), Ok(true));
    assert_eq!((delivery.state, delivery.due_at), (State::Queued, NOW));
    // The attempts before the retry are used up; new ones are there.
    assert_eq!(attempt(&mut delivery, AttemptOutcome::MayPass("451".into())), None);
    assert_eq!(delivery.attempts, 4);
}

#[test]
fn t8_what_is_final_stops() {
    let mut delivery = delivery();
    assert_eq!(attempt(&mut delivery, AttemptOutcome::Final("550 unknown user".into())), Some(Changed::Failed));
    assert_eq!((delivery.state, delivery.last_response.as_str()), (State::Failed, "550 unknown user"));
}

#[test]
fn t8_an_unknown_outcome_is_tried_once_more_and_then_parked() {
    let mut delivery = delivery();
    assert_eq!(attempt(&mut delivery, AttemptOutcome::Unknown("no answer".into())), None);
    assert_eq!(delivery.state, State::Queued);
    assert_eq!(attempt(&mut delivery, AttemptOutcome::Unknown("no answer".into())), Some(Changed::Parked));
    assert_eq!(delivery.state, State::Parked);
    assert!(delivery.is_composed(), "a retry sends the same bytes");
}

#[test]
fn t8_composing_later_counts_no_attempt() {
    let mut delivery = Delivery { composed_at: None, ..delivery() };
    for _ in 0..50 {
        delivery.compose_later("unavailable".into(), &PAUSES, NOW);
    }
    assert_eq!((delivery.state, delivery.attempts), (State::Queued, 0));
    assert_eq!(delivery.due_at, NOW.plus(Duration::from_secs(480)));
}

#[test]
fn t5_a_retry_of_what_could_not_be_composed_asks_the_channel_for_its_sender() {
    let mut delivery = Delivery { composed_at: None, ..delivery() };
    assert_eq!(delivery.compose_failed("no sender".into()), Changed::Failed);
    assert_eq!(delivery.retry(NOW), Ok(true));
    assert!(delivery.sender_from_channel);
}

#[test]
fn retrying_and_cancelling_twice_change_nothing_and_a_sent_mail_stays_sent() {
    let mut delivery = self::delivery();
    assert_eq!(delivery.retry(NOW), Ok(false));
    assert_eq!(delivery.cancel(), Ok(true));
    assert_eq!(delivery.cancel(), Ok(false));
    assert_eq!(delivery.retry(NOW), Err(State::Cancelled));
    let mut sent = self::delivery();
    assert_eq!(attempt(&mut sent, AttemptOutcome::Accepted("250 ok".into())), Some(Changed::Sent));
    assert_eq!(sent.cancel(), Err(State::Sent));
    assert_eq!(sent.retry(NOW), Err(State::Sent));
}

#[test]
fn a_change_takes_the_delivery_from_whoever_works_on_it() {
    let mut delivery = delivery();
    let held = delivery.claim;
    delivery.cancel().unwrap();
    assert_ne!(delivery.claim, held);
}
