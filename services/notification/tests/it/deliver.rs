//! The delivery worker.

use std::{sync::mpsc, time::Duration};

use frontdesk_notification::NotificationSettings;
use frontdesk_proto::{
    actor::v1::ActorKind,
    conversation::{
        internal::v1::GetClosingFactsRequest,
        v1::{Channel, GetChannelRequest, GetChannelResponse},
    },
    event::v1::{ConversationClosed, DeliveryFailed, DeliveryParked, DeliverySent},
    notification::v1::{DeliveryKind, DeliveryStatus, TranscriptPart, UpdateSenderRequest},
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, wait_for};
use tonic::Request;

use crate::{
    chat::{Chat, closed_event, facts, recipient_and_text, said},
    fixture::{ADDRESS, Fixture, smtp},
    mail_server::MailServer,
};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(20);

on_both_modes!(
    t8_a_mail_reaches_the_mailbox_once_and_its_bytes_are_deleted,
    t8_what_may_pass_is_tried_again_until_it_is_sent,
    t8_a_permanent_refusal_fails_the_delivery_with_the_servers_response,
    t8_two_unknown_outcomes_park_the_delivery,
    t8_a_worker_that_died_amid_an_attempt_leaves_an_unknown_outcome,
    t8_a_claim_from_before_the_databases_clock_was_set_back_ends,
    t8_with_a_mailbox_folder_an_interrupted_attempt_is_repeated,
    t8_while_the_conversation_service_is_unavailable_a_transcript_waits_without_an_attempt,
    t8_a_delivery_cancelled_while_it_is_composed_is_not_sent,
    t2_x1_a_transcript_goes_to_the_address_that_the_close_froze,
    t2_without_a_frozen_address_it_fails_and_a_retry_does_not_use_another,
    t5_without_a_sender_a_transcript_fails_and_a_retry_uses_the_new_one,
    t5_a_sender_deleted_after_composing_sends_nothing,
    t5_a_sender_renamed_after_composing_sends_under_its_new_name,
    t6_t8_a_mail_larger_than_the_mail_server_takes_is_composed_smaller,
    t8_an_answer_is_recorded_after_an_outage_of_the_database,
    t8_a_delivery_that_cannot_be_read_holds_up_no_other,
    x2_the_text_of_a_failed_delivery_is_forgotten_after_a_time,
);

async fn t8_a_mail_reaches_the_mailbox_once_and_its_bytes_are_deleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let id = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    let delivery = fixture.account.wait_for_status(&id, DeliveryStatus::Sent).await;
    assert_eq!((delivery.kind(), delivery.attempt_count), (DeliveryKind::SenderVerification, 1));
    let mailbox = fixture.mailbox();
    assert_eq!(mailbox.len(), 1);
    assert!(mailbox[0].1.contains(&format!("<{id}@localhost.localdomain>")));
    let sent = fixture.service.appended::<DeliverySent>().await;
    assert_eq!(sent.iter().map(|event| &event.delivery_id).collect::<Vec<_>>(), [&id]);
    assert_eq!(fixture.count("FROM delivery_mails").await, 0);
}

async fn t8_what_may_pass_is_tried_again_until_it_is_sent(mode: Mode) {
    let server = MailServer::start(&["451 later", "452 full", "250 ok 7"]).await;
    let fixture = Fixture::start_with(mode, smtp(server.port, SHORT)).await;
    let id = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    let delivery = fixture.account.wait_for_status(&id, DeliveryStatus::Sent).await;
    assert_eq!((delivery.attempt_count, delivery.last_response.as_str()), (3, "250 ok 7"));
    assert_eq!(server.mails(), 3);
}

async fn t8_a_permanent_refusal_fails_the_delivery_with_the_servers_response(mode: Mode) {
    let server = MailServer::start(&["550 no such user"]).await;
    let fixture = Fixture::start_with(mode, smtp(server.port, SHORT)).await;
    let id = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    let delivery = fixture.account.wait_for_status(&id, DeliveryStatus::Failed).await;
    assert!(delivery.last_response.contains("no such user"), "{delivery:?}");
    assert_eq!(fixture.service.appended::<DeliveryFailed>().await.len(), 1);
    assert_eq!(server.mails(), 1);
}

async fn t8_two_unknown_outcomes_park_the_delivery(mode: Mode) {
    let server = MailServer::start(&[]).await;
    let fixture = Fixture::start_with(mode, smtp(server.port, SHORT)).await;
    let id = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    fixture.account.wait_for_status(&id, DeliveryStatus::Parked).await;
    assert_eq!(server.mails(), 2, "once, and once more");
    assert_eq!(fixture.service.appended::<DeliveryParked>().await.len(), 1);
}

async fn t8_a_worker_that_died_amid_an_attempt_leaves_an_unknown_outcome(mode: Mode) {
    let server = MailServer::start(&["451 later", "250 ok"]).await;
    let fixture = Fixture::start_with(mode, smtp(server.port, HOUR)).await;
    let id = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    fixture.account.wait_for_delivery(&id, |delivery| delivery.attempt_count == 1 && is_queued(delivery.status)).await;
    fixture.interrupt(&id).await;
    fixture.service.clock.advance(Duration::from_secs(15)).unwrap();
    let delivery = fixture.account.wait_for_status(&id, DeliveryStatus::Queued).await;
    assert!(delivery.failure.contains("did not answer"), "{delivery:?}");
    fixture.service.clock.advance(HOUR).unwrap();
    let delivery = fixture.account.wait_for_status(&id, DeliveryStatus::Sent).await;
    assert_eq!((delivery.attempt_count, server.mails()), (3, 2));
}

/// The worker that claimed the delivery has died, and the database's clock went back an hour with its fail-over.
async fn t8_a_claim_from_before_the_databases_clock_was_set_back_ends(mode: Mode) {
    let server = MailServer::start(&["451 later", "250 ok"]).await;
    let fixture = Fixture::start_with(mode, smtp(server.port, HOUR)).await;
    let id = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    fixture.account.wait_for_delivery(&id, |delivery| delivery.attempt_count == 1 && is_queued(delivery.status)).await;
    fixture.interrupt(&id).await;
    fixture.execute("UPDATE deliveries SET due_at = due_at + 3600000000").await;
    let delivery = fixture.account.wait_for_status(&id, DeliveryStatus::Queued).await;
    assert!(delivery.failure.contains("did not answer"), "{delivery:?}");
}

async fn t8_with_a_mailbox_folder_an_interrupted_attempt_is_repeated(mode: Mode) {
    let settings = NotificationSettings { retry_pause: HOUR, ..NotificationSettings::default() };
    let fixture = Fixture::start_with(mode, settings).await;
    // A file where the folder should be.
    let mailbox = fixture.service.folder.path().join("mailbox");
    std::fs::write(&mailbox, "").unwrap();
    let id = fixture.account.create_sender(ADDRESS, "1").await.unwrap().delivery_id;
    fixture.account.wait_for_delivery(&id, |delivery| delivery.attempt_count == 1 && is_queued(delivery.status)).await;
    std::fs::remove_file(&mailbox).unwrap();
    fixture.interrupt(&id).await;
    fixture.service.clock.advance(Duration::from_secs(15)).unwrap();
    // An unknown outcome would wait for an hour.
    let delivery = fixture.account.wait_for_status(&id, DeliveryStatus::Sent).await;
    assert_eq!((delivery.attempt_count, fixture.mailbox().len()), (3, 1));
}

async fn t8_while_the_conversation_service_is_unavailable_a_transcript_waits_without_an_attempt(mode: Mode) {
    let settings = NotificationSettings { retry_pause: HOUR, ..NotificationSettings::default() };
    let chat = Chat::closed_with(mode, settings).await;
    chat.fixture
        .service
        .fake
        .on(|_: Request<GetChannelRequest>| Err::<GetChannelResponse, _>(tonic::Status::unavailable("for a test")));
    let id = chat.decide().await.delivery.unwrap().id;
    let delivery = chat.account().wait_for_delivery(&id, |delivery| !delivery.failure.is_empty()).await;
    assert_eq!((delivery.status(), delivery.attempt_count), (DeliveryStatus::Queued, 0));
    assert!(delivery.failure.contains("conversation service"), "{delivery:?}");
    let next = delivery.next_attempt_time.unwrap().seconds - delivery.create_time.unwrap().seconds;
    assert!((3_600..3_700).contains(&next), "{next}");
}

async fn t8_a_delivery_cancelled_while_it_is_composed_is_not_sent(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let (requested, wait_requested) = mpsc::channel();
    let (release, wait_released) = mpsc::channel::<()>();
    chat.change(|answers| answers.facts.push(facts(chat.contact, "second@vera.example")));
    let wait_released = std::sync::Mutex::new(wait_released);
    chat.fixture.service.fake.on(move |_: Request<GetChannelRequest>| {
        // Received once, for the first close.
        let _ = requested.send(());
        tokio::task::block_in_place(|| wait_released.lock().unwrap().recv()).unwrap();
        Ok(GetChannelResponse { channel: Some(Channel::default()) })
    });
    let id = chat.decide().await.delivery.unwrap().id;
    tokio::task::spawn_blocking(move || wait_requested.recv_timeout(Duration::from_secs(20)).unwrap()).await.unwrap();
    chat.account().cancel(&id).await.unwrap();
    release.send(()).unwrap();
    // The delivery of the next close waits until the worker has asked for it.
    let close = closed_event(chat.id, 2, chat.contact);
    chat.fixture.service.publish("conversation", chat.account().id, &close).await;
    release.send(()).unwrap();
    let next = wait_for("the next decision", || async { chat.explain(2).await.ok() }).await.delivery.unwrap();
    chat.account().wait_for_status(&next.id, DeliveryStatus::Sent).await;
    assert_eq!(chat.account().delivery(&id).await.unwrap().status(), DeliveryStatus::Cancelled);
    assert!(!chat.fixture.mailbox().iter().any(|(delivery, _)| *delivery == id));
}

async fn t2_x1_a_transcript_goes_to_the_address_that_the_close_froze(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let before = chat.fixture.service.fake.calls::<GetClosingFactsRequest>();
    // Later facts change neither the address nor the contact.
    chat.change(|answers| {
        answers.facts.push(facts(new_id(), "eve@other.example"));
        answers.conversation.contact_id = new_id().to_string();
    });
    let delivery = chat.deliver_until(DeliveryStatus::Sent).await;
    let (recipient, text) = chat.recipient_and_text(&delivery.id);
    assert_eq!((recipient.as_str(), delivery.recipient_email.as_str()), ("second@vera.example", "second@vera.example"));
    assert!(text.contains("Vera (visitor):") && text.contains("Ada (team):"), "{text}");
    assert!(text.contains("because you chatted with Acme"), "{text}");
    assert_eq!(
        chat.fixture.service.fake.calls::<GetClosingFactsRequest>(),
        before + 2,
        "once to decide, and once to compose"
    );
}

async fn t2_without_a_frozen_address_it_fails_and_a_retry_does_not_use_another(mode: Mode) {
    let chat = Chat::closed(mode).await;
    chat.change(|answers| answers.facts[0].recipient_email = String::new());
    let delivery = chat.deliver_until(DeliveryStatus::Failed).await;
    assert!(delivery.failure.contains("no address"), "{delivery:?}");
    chat.change(|answers| answers.facts[0].recipient_email = "odd%x@vera.example".into());
    chat.account().retry(&delivery.id).await.unwrap();
    let delivery = chat.account().wait_for_status(&delivery.id, DeliveryStatus::Failed).await;
    assert!(delivery.failure.contains("no address"), "{delivery:?}");
    assert_eq!(chat.fixture.mailbox().len(), 1, "only the code of the sender");
}

async fn t5_without_a_sender_a_transcript_fails_and_a_retry_uses_the_new_one(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let sender = chat.account().list_senders().await.remove(0);
    let request = frontdesk_proto::notification::v1::DeleteSenderRequest { sender_id: sender.id };
    chat.account().senders().delete_sender(request).await.unwrap();
    let delivery = chat.deliver_until(DeliveryStatus::Failed).await;
    assert!(delivery.failure.contains("There is no sender address"), "{delivery:?}");
    chat.fixture.verified_fallback("new@acme.example").await;
    chat.account().retry(&delivery.id).await.unwrap();
    chat.account().wait_for_status(&delivery.id, DeliveryStatus::Sent).await;
    let mail = chat.fixture.mail(&delivery.id);
    assert!(mail.contains("new@acme.example") && recipient_and_text(&mail).0 == "second@vera.example", "{mail}");
    assert_eq!(chat.fixture.service.appended::<DeliveryFailed>().await.len(), 1);
}

/// A chat whose transcript the mail server did not take at its first attempt.
async fn waiting(mode: Mode, answers: &'static [&'static str]) -> (Chat, String, MailServer) {
    let server = MailServer::start(answers).await;
    let chat = Chat::closed_with(mode, smtp(server.port, HOUR)).await;
    let id = chat.decide().await.delivery.unwrap().id;
    chat.account().wait_for_delivery(&id, |delivery| delivery.attempt_count == 1 && is_queued(delivery.status)).await;
    (chat, id, server)
}

async fn t5_a_sender_deleted_after_composing_sends_nothing(mode: Mode) {
    let (chat, id, server) = waiting(mode, &["451 later", "250 ok"]).await;
    let sender = chat.account().list_senders().await.remove(0);
    let request = frontdesk_proto::notification::v1::DeleteSenderRequest { sender_id: sender.id };
    chat.account().senders().delete_sender(request).await.unwrap();
    // At once, and not an hour later.
    let failed = chat.account().wait_for_status(&id, DeliveryStatus::Failed).await;
    assert!(failed.failure.contains("There is no sender address"), "{failed:?}");
    assert_eq!((server.mails(), chat.fixture.count("FROM delivery_mails").await), (1, 0));
}

async fn t5_a_sender_renamed_after_composing_sends_under_its_new_name(mode: Mode) {
    let (chat, id, server) = waiting(mode, &["451 later", "250 ok"]).await;
    let sender = chat.account().list_senders().await.remove(0);
    let request = UpdateSenderRequest {
        sender_id: sender.id,
        display_name: Some("Acme Support".into()),
        reply_to_email: Some("Help@acme.example".into()),
        unsubscribe_email: Some("no-more@acme.example".into()),
        ..Default::default()
    };
    chat.account().senders().update_sender(request).await.unwrap();
    chat.fixture.service.clock.advance(HOUR).unwrap();
    let sent = chat.account().wait_for_status(&id, DeliveryStatus::Sent).await;
    let mail = server.last_mail();
    assert!(mail.contains("\"Acme Support\" <team@acme.example>") && mail.contains(&sent.mail_message_id), "{mail}");
    assert!(mail.contains("Reply-To: Help@acme.example\r\n"), "{mail}");
    assert!(mail.contains(&format!("<mailto:no-more@acme.example?subject=unsubscribe%20{id}>")), "{mail}");
    assert!(mail.contains(&format!("References: <conversation.{}@acme.example>", chat.id)), "{mail}");
}

async fn t6_t8_a_mail_larger_than_the_mail_server_takes_is_composed_smaller(mode: Mode) {
    const MESSAGES: i32 = 135;
    let server = MailServer::start_with("250-test\r\n250 SIZE 1024000", &["250 ok"]).await;
    let chat = Chat::closed_with(mode, smtp(server.port, HOUR)).await;
    chat.change(|answers| {
        let text = |number| format!("number {number}. {}", "\u{1F600}".repeat(2_000));
        answers.entries = (1..=MESSAGES).map(|number| said(number, ActorKind::Visitor, "", &text(number))).collect();
        answers.facts[0].last_sequence = MESSAGES;
    });
    let closed = ConversationClosed { last_sequence: MESSAGES, ..chat.closed_event() };
    chat.fixture.service.publish("conversation", chat.account().id, &closed).await;
    let id = wait_for("the decision", || async { chat.explain(1).await.ok() }).await.delivery.unwrap().id;
    let sent = chat.account().wait_for_status(&id, DeliveryStatus::Sent).await;
    assert_eq!((sent.attempt_count, server.mails()), (2, 1), "the first attempt sends nothing");
    let mail = server.last_mail();
    assert!(mail.len() <= 1_024_000 && mail.len() > 500_000, "{}", mail.len());
    let (_, text) = recipient_and_text(&mail);
    assert!(text.contains("number 1.") && text.contains(&format!("number {MESSAGES}.")), "the first and the last part");
    assert!(text.contains("messages were left out here"), "{}", &text[..500]);
    assert_eq!(chat.previewed_part(TranscriptPart::Text).await, text, "the preview is as small");
}

async fn t8_an_answer_is_recorded_after_an_outage_of_the_database(mode: Mode) {
    let server = MailServer::start(&["250 ok"]).await;
    let fixture = Fixture::start_with(mode, smtp(server.port, HOUR)).await;
    // Every outcome fails to be recorded, for longer than a claim lasts.
    fixture.execute("ALTER TABLE outbox_events RENAME TO away").await;
    fixture.unmailed_fallback().await;
    let created = fixture.account.create_sender("new@acme.example", "1").await.unwrap();
    wait_for("the mail", || async { (server.mails() == 1).then_some(()) }).await;
    fixture.service.clock.advance(Duration::from_secs(60)).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    fixture.execute("ALTER TABLE away RENAME TO outbox_events").await;
    let sent = fixture.account.wait_for_status(&created.delivery_id, DeliveryStatus::Sent).await;
    assert_eq!((sent.attempt_count, server.mails()), (1, 1));
}

async fn x2_the_text_of_a_failed_delivery_is_forgotten_after_a_time(mode: Mode) {
    let server = MailServer::start(&["550 no", "550 no", "250 ok"]).await;
    let settings = NotificationSettings { keep_failed_mails: 10 * HOUR, ..smtp(server.port, HOUR) };
    let chat = Chat::closed_with(mode, settings).await;
    let transcript = chat.deliver_until(DeliveryStatus::Failed).await;
    let code = chat.account().create_sender("new@acme.example", "1").await.unwrap().delivery_id;
    chat.account().wait_for_status(&code, DeliveryStatus::Failed).await;
    let advance = |hours: u32| chat.fixture.service.clock.advance(HOUR * hours).unwrap();
    advance(9);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(chat.fixture.count("FROM delivery_mails").await, 2);
    advance(2);
    wait_for("no text", || async { (chat.fixture.count("FROM delivery_mails").await == 0).then_some(()) }).await;
    // A transcript can be composed again, a code cannot.
    chat.account().retry(&transcript.id).await.unwrap();
    chat.account().wait_for_status(&transcript.id, DeliveryStatus::Sent).await;
    chat.account().retry(&code).await.unwrap();
    let failed = chat.account().wait_for_status(&code, DeliveryStatus::Failed).await;
    assert!(failed.failure.contains("CreateSender"), "{failed:?}");
}

fn is_queued(status: i32) -> bool {
    status == i32::from(DeliveryStatus::Queued)
}

/// One of a kind that a later version queued, and one with a damaged row, are due before all others, and the worker takes one
/// delivery at a time.
async fn t8_a_delivery_that_cannot_be_read_holds_up_no_other(mode: Mode) {
    let server = MailServer::start(&["451 later", "451 later", "250 ok", "250 ok"]).await;
    let fixture =
        Fixture::start_with(mode, NotificationSettings { deliveries_at_once: 1, ..smtp(server.port, HOUR) }).await;
    let mut ids = Vec::new();
    for (request, change) in [("1", "kind = 'OF_A_LATER_VERSION'"), ("2", "until_sequence = 9999999999")] {
        let id = fixture.account.create_sender(&format!("{request}{ADDRESS}"), request).await.unwrap().delivery_id;
        fixture
            .account
            .wait_for_delivery(&id, |delivery| delivery.attempt_count == 1 && is_queued(delivery.status))
            .await;
        fixture.execute(&format!("UPDATE deliveries SET {change} WHERE id = {}", fixture.uuid(&id))).await;
        ids.push(id);
    }
    fixture.service.clock.advance(HOUR).unwrap();
    let id = fixture.account.create_sender(ADDRESS, "3").await.unwrap().delivery_id;
    fixture.account.wait_for_status(&id, DeliveryStatus::Sent).await;
    assert_eq!(fixture.account.delivery(&ids[0]).await.unwrap_err().code(), tonic::Code::NotFound);
    assert_eq!(server.mails(), 3);

    // The later version is back.
    fixture.execute("UPDATE deliveries SET kind = 'SENDER_VERIFICATION'").await;
    fixture.account.wait_for_status(&ids[0], DeliveryStatus::Sent).await;
}
