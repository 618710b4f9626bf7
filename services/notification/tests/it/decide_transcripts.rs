//! The consumer of `ConversationClosed`.

use std::time::Duration;

use frontdesk_notification::NotificationSettings;
use frontdesk_proto::{
    conversation::internal::v1::{GetClosingFactsRequest, GetClosingFactsResponse},
    event::v1::{ConversationClosed, TranscriptDecided},
    notification::v1::{DeliveryKind, DeliveryStatus, SkipReason},
};
use frontdesk_testkit::{Mode, event, new_id, on_both_modes, wait_until};
use tonic::{Request, Status};

use crate::{
    chat::{Chat, closed_event, facts},
    fixture::{Fixture, twenty_at_once},
};

on_both_modes!(
    t3_an_event_delivered_many_times_is_decided_once,
    t3_twenty_at_once_with_different_event_ids_decide_one_close_once,
    t3_each_close_has_its_own_decision,
    t3_each_of_many_closes_at_once_has_one_decision_whatever_it_is,
    t2_a_skipped_close_has_no_delivery_and_says_why,
    t2_unverified_addresses_have_a_limit_whichever_contacts_claim_them,
    s4_a_loop_of_reopening_and_closing_mails_nobody_twice_in_the_interval,
    s4_twenty_closes_of_one_conversation_at_once_mail_one_transcript,
    s4_the_interval_is_for_one_address_and_one_conversation_and_not_for_a_cancelled_mail,
    s4_without_an_interval_the_next_close_is_mailed_at_once,
    s4_the_closes_of_one_conversation_mail_a_few_transcripts_an_hour,
    s4_automatic_transcripts_to_a_verified_address_are_limited_whichever_contact_has_it,
    s4_automatic_transcripts_of_an_account_are_limited,
    s4_without_the_recipient_nothing_is_decided_until_it_is_known,
    t2_twenty_closes_at_once_stay_within_the_unverified_limit,
    t3_an_event_that_cannot_be_read_is_a_dead_letter_and_the_next_one_is_decided,
);

const HOUR: Duration = Duration::from_secs(3600);

/// A little more than the default minimum time between two transcripts of one conversation.
const INTERVAL: Duration = Duration::from_secs(11 * 60);

async fn close(fixture: &Fixture, close: &ConversationClosed) {
    fixture.service.publish("conversation", fixture.account.id, close).await;
}

async fn transcripts(fixture: &Fixture) -> usize {
    let deliveries = fixture.account.list_deliveries().await;
    deliveries.iter().filter(|delivery| delivery.kind() == DeliveryKind::Transcript).count()
}

async fn t3_an_event_delivered_many_times_is_decided_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let closed = closed_event(new_id(), 1, new_id());
    let published = fixture.service.publish("conversation", fixture.account.id, &closed).await;
    for _ in 0..3 {
        fixture.service.deliver_again(&published).await;
    }
    fixture.service.settled().await;
    assert_eq!((fixture.account.list_decisions().await.len(), transcripts(&fixture).await), (1, 1));
    assert_eq!(fixture.service.appended::<TranscriptDecided>().await.len(), 1);
}

async fn t3_twenty_at_once_with_different_event_ids_decide_one_close_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let closed = closed_event(new_id(), 1, new_id());
    let (bus, account) = (fixture.service.bus.clone(), fixture.account.id);
    twenty_at_once(|_| {
        let (bus, event) = (bus.clone(), event("conversation", account, &closed));
        async move { assert!(bus.publish(&[event]).await.iter().all(Result::is_ok)) }
    })
    .await;
    fixture.service.settled().await;
    assert_eq!((fixture.account.list_decisions().await.len(), transcripts(&fixture).await), (1, 1));
}

async fn t3_each_close_has_its_own_decision(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (conversation, contact) = (new_id(), new_id());
    for number in [2, 1] {
        close(&fixture, &closed_event(conversation, number, contact)).await;
    }
    fixture.service.settled().await;
    let mut closes: Vec<i32> =
        fixture.account.list_decisions().await.iter().map(|decision| decision.close_number).collect();
    closes.sort_unstable();
    assert_eq!(closes, [1, 2]);
}

async fn t3_each_of_many_closes_at_once_has_one_decision_whatever_it_is(mode: Mode) {
    const CHATS: i32 = 60;
    let fixture = Fixture::start(mode).await;
    let account = fixture.account.id;
    let closes: Vec<ConversationClosed> = (0..CHATS)
        .map(|number| {
            // Every tenth chat had an agent: a transcript is mailed.
            let had_bot_session = number % 10 != 0;
            let contact = new_id();
            ConversationClosed { had_bot_session, had_agent: !had_bot_session, ..closed_event(new_id(), 1, contact) }
        })
        .collect();
    let events: Vec<_> = closes.iter().map(|closed| event("conversation", account, closed)).collect();
    // Some come twice in one batch, and all again in another.
    let twice: Vec<_> = closes.iter().step_by(7).map(|closed| event("conversation", account, closed)).collect();
    let again: Vec<_> = closes.iter().map(|closed| event("conversation", account, closed)).collect();
    for batch in [[events, twice].concat(), again] {
        assert!(fixture.service.bus.publish(&batch).await.iter().all(Result::is_ok));
    }
    fixture.service.settled().await;
    assert_eq!(skipped(&fixture, SkipReason::BotConversation).await, 54);
    assert_eq!((fixture.account.list_decisions().await.len(), transcripts(&fixture).await), (60, 6));
    assert_eq!(fixture.service.appended::<TranscriptDecided>().await.len(), 60);
}

async fn t2_a_skipped_close_has_no_delivery_and_says_why(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let bot_chat =
        ConversationClosed { had_bot_session: true, had_agent: false, ..closed_event(new_id(), 1, new_id()) };
    close(&fixture, &bot_chat).await;
    fixture.service.settled().await;
    let decisions = fixture.account.list_decisions().await;
    assert_eq!((decisions[0].send, decisions[0].skip_reason()), (false, SkipReason::BotConversation));
    assert!(decisions[0].explanation.starts_with("Not sent") && decisions[0].delivery_id.is_empty());
    assert_eq!(transcripts(&fixture).await, 0);
    let events = fixture.service.appended::<TranscriptDecided>().await;
    assert_eq!((events[0].send, events[0].skip_reason()), (false, SkipReason::BotConversation));
}

async fn t2_unverified_addresses_have_a_limit_whichever_contacts_claim_them(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    fixture.recipient("stranger@visitor.example");
    let unverified = || ConversationClosed { email_verified: false, ..closed_event(new_id(), 1, new_id()) };
    // Verified ones do not count.
    close(&fixture, &closed_event(new_id(), 1, new_id())).await;
    for _ in 0..7 {
        close(&fixture, &unverified()).await;
    }
    fixture.service.settled().await;
    assert_eq!(transcripts(&fixture).await, 6);
    assert_eq!(skipped(&fixture, SkipReason::UnverifiedLimit).await, 2);
    // After a day the limit allows mails again.
    fixture.service.clock.advance(25 * HOUR).unwrap();
    close(&fixture, &unverified()).await;
    fixture.service.settled().await;
    assert_eq!(transcripts(&fixture).await, 7);
}

/// Number of decisions with this reason.
async fn skipped(fixture: &Fixture, reason: SkipReason) -> usize {
    let decisions = fixture.account.list_decisions().await;
    decisions.iter().filter(|decision| decision.skip_reason() == reason).count()
}

async fn t2_twenty_closes_at_once_stay_within_the_unverified_limit(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    fixture.recipient("stranger@visitor.example");
    let (bus, account, contact) = (fixture.service.bus.clone(), fixture.account.id, new_id());
    twenty_at_once(|_| {
        let closed = ConversationClosed { email_verified: false, ..closed_event(new_id(), 1, contact) };
        let (bus, event) = (bus.clone(), event("conversation", account, &closed));
        async move { assert!(bus.publish(&[event]).await.iter().all(Result::is_ok)) }
    })
    .await;
    fixture.service.settled().await;
    assert_eq!((fixture.account.list_decisions().await.len(), transcripts(&fixture).await), (20, 5));
}

async fn s4_the_closes_of_one_conversation_mail_a_few_transcripts_an_hour(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (conversation, contact) = (new_id(), new_id());
    // An agent closes and reopens it again and again, as seldom as is allowed.
    for number in 1..=5 {
        close(&fixture, &closed_event(conversation, number, contact)).await;
        fixture.service.settled().await;
        fixture.service.clock.advance(INTERVAL).unwrap();
    }
    assert_eq!((transcripts(&fixture).await, skipped(&fixture, SkipReason::ConversationLimit).await), (3, 2));
    let decisions = fixture.account.list_decisions().await;
    let limited = decisions.iter().find(|decision| !decision.send).unwrap();
    assert!(limited.explanation.contains("one conversation in an hour"), "{limited:?}");
    fixture.service.clock.advance(HOUR + Duration::from_secs(60)).unwrap();
    close(&fixture, &closed_event(conversation, 6, contact)).await;
    fixture.service.settled().await;
    assert_eq!(transcripts(&fixture).await, 4);
}

async fn s4_a_loop_of_reopening_and_closing_mails_nobody_twice_in_the_interval(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let facts = facts(chat.contact, "second@vera.example");
    chat.change(|answers| answers.facts = vec![facts; 6]);
    let sent = chat.deliver_until(DeliveryStatus::Sent).await;
    for number in 2..=5 {
        close(&chat.fixture, &closed_event(chat.id, number, chat.contact)).await;
    }
    chat.fixture.service.settled().await;
    assert_eq!((transcripts(&chat.fixture).await, skipped(&chat.fixture, SkipReason::RecentlyMailed).await), (1, 4));
    let explained = chat.explain(5).await.unwrap();
    let decision = explained.decision.unwrap();
    assert!(!decision.send && decision.explanation.contains("shortly before"), "{decision:?}");
    assert_eq!(explained.delivery, None);
    assert_eq!(chat.explain(1).await.unwrap().delivery, Some(sent));
    chat.fixture.service.clock.advance(INTERVAL).unwrap();
    close(&chat.fixture, &closed_event(chat.id, 6, chat.contact)).await;
    chat.fixture.service.settled().await;
    let next = chat.explain(6).await.unwrap().delivery.unwrap();
    chat.account().wait_for_status(&next.id, DeliveryStatus::Sent).await;
}

async fn s4_twenty_closes_of_one_conversation_at_once_mail_one_transcript(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (bus, account) = (fixture.service.bus.clone(), fixture.account.id);
    let (conversation, contact) = (new_id(), new_id());
    twenty_at_once(|number| {
        let number = i32::try_from(number).unwrap() + 1;
        let (bus, event) = (bus.clone(), event("conversation", account, &closed_event(conversation, number, contact)));
        async move { assert!(bus.publish(&[event]).await.iter().all(Result::is_ok)) }
    })
    .await;
    fixture.service.settled().await;
    assert_eq!((transcripts(&fixture).await, skipped(&fixture, SkipReason::RecentlyMailed).await), (1, 19));
}

async fn s4_the_interval_is_for_one_address_and_one_conversation_and_not_for_a_cancelled_mail(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    fixture.recipient("vera@visitor.example");
    let (conversation, contact) = (new_id(), new_id());
    close(&fixture, &closed_event(conversation, 1, contact)).await;
    fixture.service.settled().await;
    let first = fixture.account.list_deliveries().await.remove(0);
    // Another spelling of the same mailbox.
    fixture.recipient("Vera+chat@visitor.example");
    close(&fixture, &closed_event(conversation, 2, contact)).await;
    fixture.service.settled().await;
    assert_eq!((transcripts(&fixture).await, skipped(&fixture, SkipReason::RecentlyMailed).await), (1, 1));
    // The same address in another conversation, and another address in this one.
    close(&fixture, &closed_event(new_id(), 1, contact)).await;
    fixture.service.settled().await;
    fixture.recipient("corrected@visitor.example");
    close(&fixture, &closed_event(conversation, 3, contact)).await;
    fixture.service.settled().await;
    assert_eq!((transcripts(&fixture).await, skipped(&fixture, SkipReason::RecentlyMailed).await), (3, 1));
    // Nobody gets the cancelled one.
    fixture.account.cancel(&first.id).await.unwrap();
    fixture.recipient("vera@visitor.example");
    close(&fixture, &closed_event(conversation, 4, contact)).await;
    fixture.service.settled().await;
    assert_eq!((transcripts(&fixture).await, skipped(&fixture, SkipReason::RecentlyMailed).await), (4, 1));
}

async fn s4_without_an_interval_the_next_close_is_mailed_at_once(mode: Mode) {
    let settings =
        NotificationSettings { automatic_interval_per_conversation: Duration::ZERO, ..NotificationSettings::default() };
    let fixture = Fixture::start_with(mode, settings).await;
    let (conversation, contact) = (new_id(), new_id());
    for number in [1, 2] {
        close(&fixture, &closed_event(conversation, number, contact)).await;
    }
    fixture.service.settled().await;
    assert_eq!(transcripts(&fixture).await, 2);
}

async fn s4_automatic_transcripts_to_a_verified_address_are_limited_whichever_contact_has_it(mode: Mode) {
    let settings = NotificationSettings { automatic_per_recipient_per_day: 4, ..NotificationSettings::default() };
    let fixture = Fixture::start_with(mode, settings).await;
    fixture.recipient("stranger@visitor.example");
    let (bus, account) = (fixture.service.bus.clone(), fixture.account.id);
    twenty_at_once(|_| {
        let event = event("conversation", account, &closed_event(new_id(), 1, new_id()));
        let bus = bus.clone();
        async move { assert!(bus.publish(&[event]).await.iter().all(Result::is_ok)) }
    })
    .await;
    fixture.service.settled().await;
    assert_eq!((transcripts(&fixture).await, skipped(&fixture, SkipReason::RecipientLimit).await), (4, 16));
    fixture.recipient("STRANGER@visitor.example");
    close(&fixture, &closed_event(new_id(), 1, new_id())).await;
    fixture.service.settled().await;
    fixture.recipient("other@visitor.example");
    close(&fixture, &closed_event(new_id(), 1, new_id())).await;
    fixture.service.settled().await;
    assert_eq!((transcripts(&fixture).await, skipped(&fixture, SkipReason::RecipientLimit).await), (5, 17));
}

async fn s4_automatic_transcripts_of_an_account_are_limited(mode: Mode) {
    let settings = NotificationSettings { automatic_per_account_per_hour: 2, ..NotificationSettings::default() };
    let fixture = Fixture::start_with(mode, settings).await;
    for _ in 0..4 {
        close(&fixture, &closed_event(new_id(), 1, new_id())).await;
    }
    let other = fixture.other_account();
    fixture.service.publish("conversation", other.id, &closed_event(new_id(), 1, new_id())).await;
    fixture.service.settled().await;
    assert_eq!((transcripts(&fixture).await, skipped(&fixture, SkipReason::AccountLimit).await), (2, 2));
    assert!(other.list_decisions().await[0].send, "each account has a limit of its own");
}

async fn s4_without_the_recipient_nothing_is_decided_until_it_is_known(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    fixture
        .service
        .fake
        .on(|_: Request<GetClosingFactsRequest>| Err::<GetClosingFactsResponse, _>(Status::unavailable("for a test")));
    close(&fixture, &closed_event(new_id(), 1, new_id())).await;
    wait_until("a call", || async { fixture.service.fake.calls::<GetClosingFactsRequest>() > 0 }).await;
    assert!(fixture.account.list_decisions().await.is_empty());
    fixture.recipient("vera@visitor.example");
    wait_until("the decision", || async { fixture.account.list_decisions().await.len() == 1 }).await;
    assert_eq!(fixture.account.list_deliveries().await[0].recipient_email, "vera@visitor.example");
}

/// Every way to have a transcript mailed automatically: a loop of reopening and closing, a new conversation for each, a new
/// contact for each, an address that the team verified, and one that visitors claim.
#[tokio::test(flavor = "multi_thread")]
async fn s4_ten_thousand_attempts_to_mail_strangers_stay_within_the_limits() {
    const ATTEMPTS: i32 = 10_000;
    let settings = NotificationSettings {
        automatic_per_account_per_hour: 60,
        unverified_per_account_per_day: 20,
        ..NotificationSettings::default()
    };
    let fixture = Fixture::start_with(Mode::Embedded, settings).await;
    fixture.service.fake.on(|request: Request<GetClosingFactsRequest>| {
        // The same twenty strangers, whichever conversation it is.
        let stranger = request.get_ref().conversation_id.bytes().last().unwrap_or_default();
        let recipient_email = format!("stranger-{stranger}@visitor.example");
        Ok(GetClosingFactsResponse { recipient_email, ..GetClosingFactsResponse::default() })
    });
    let (looped, contact) = (new_id(), new_id());
    let attempts: Vec<_> = (1..=ATTEMPTS)
        .map(|number| {
            let closed = match number % 4 {
                0 => closed_event(looped, number, contact),
                1 => closed_event(new_id(), 1, contact),
                2 => closed_event(new_id(), 1, new_id()),
                _ => ConversationClosed { email_verified: false, ..closed_event(new_id(), 1, new_id()) },
            };
            event("conversation", fixture.account.id, &closed)
        })
        .collect();
    let mut decided = 0;
    for batch in attempts.chunks(500) {
        assert!(fixture.service.bus.publish(batch).await.iter().all(Result::is_ok));
        decided += 500;
        wait_until("the decisions", || async { fixture.count("FROM transcript_decisions").await == decided }).await;
    }
    assert_eq!(fixture.count("FROM deliveries").await, 60);
    assert!(fixture.count("FROM deliveries WHERE unverified").await <= 20);
    let per_recipient = "FROM (SELECT recipient FROM deliveries GROUP BY recipient HAVING count(*) > 30) AS more";
    assert_eq!(fixture.count(per_recipient).await, 0);
    let looped = fixture.uuid(&looped.to_string());
    assert!(fixture.count(&format!("FROM deliveries WHERE conversation_id = {looped}")).await <= 3);
}

async fn t3_an_event_that_cannot_be_read_is_a_dead_letter_and_the_next_one_is_decided(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let unreadable = ConversationClosed { conversation_id: "x".into(), ..closed_event(new_id(), 1, new_id()) };
    close(&fixture, &unreadable).await;
    close(&fixture, &closed_event(new_id(), 1, new_id())).await;
    wait_until("the dead letter", || async { fixture.count("FROM dead_letters").await == 1 }).await;
    wait_until("the decision", || async { fixture.account.list_decisions().await.len() == 1 }).await;
}
