//! The consumer `notification.contact_erasures`: rule X2.

use std::time::Duration;

use frontdesk_notification::NotificationSettings;
use frontdesk_proto::{
    conversation::{
        internal::v1::{ListErasedConversationsRequest, ListErasedConversationsResponse},
        v1::{GetChannelRequest, GetChannelResponse},
    },
    event::v1::{ContactErasureConfirmed, ContactErasureRequested},
    notification::v1::DeliveryStatus,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, wait_until};
use tonic::{Request, Status};

use crate::{
    chat::{Chat, closed_event, facts},
    fixture::smtp,
    mail_server::MailServer,
};

on_both_modes!(
    x2_an_erasure_cancels_what_waits_and_forgets_the_recipient_of_what_was_sent,
    x2_an_erasure_cancels_what_has_failed_and_what_is_parked,
    x2_a_close_that_is_decided_after_the_erasure_has_no_address,
    x2_without_the_conversation_service_nothing_is_confirmed,
    x2_an_erasure_that_cannot_be_read_holds_nothing_up,
);

const HOUR: Duration = Duration::from_secs(3600);

/// From now on the conversation service answers that the erasure is about this chat.
fn serve_erased(chat: &Chat) {
    let (contact, conversation) = (chat.contact.to_string(), chat.id.to_string());
    chat.fixture.service.fake.on(move |_: Request<ListErasedConversationsRequest>| {
        Ok(ListErasedConversationsResponse {
            contact_ids: vec![contact.clone()],
            conversation_ids: vec![conversation.clone()],
            has_more: false,
        })
    });
}

fn requested(chat: &Chat) -> ContactErasureRequested {
    ContactErasureRequested { contact_id: chat.contact.to_string(), contact_job_id: new_id().to_string() }
}

/// Erases the contact of the chat, and waits for the confirmation.
pub async fn erase(chat: &Chat) {
    serve_erased(chat);
    let message = requested(chat);
    chat.fixture.service.publish("conversation", chat.account().id, &message).await;
    chat.fixture.service.settled().await;
    assert_eq!(confirmed(chat).await, [message.contact_job_id]);
}

async fn confirmed(chat: &Chat) -> Vec<String> {
    let events = chat.fixture.service.appended::<ContactErasureConfirmed>().await;
    events.into_iter().map(|event| event.contact_job_id).collect()
}

async fn x2_an_erasure_cancels_what_waits_and_forgets_the_recipient_of_what_was_sent(mode: Mode) {
    let settings = NotificationSettings { retry_pause: HOUR, ..NotificationSettings::default() };
    let chat = Chat::closed_with(mode, settings).await;
    serve_erased(&chat);
    let sent = chat.send(chat.send_request(chat.contact)).await.unwrap().id;
    chat.account().wait_for_status(&sent, DeliveryStatus::Sent).await;
    chat.fixture
        .service
        .fake
        .on(|_: Request<GetChannelRequest>| Err::<GetChannelResponse, _>(Status::unavailable("for a test")));
    let queued = chat.decide().await.delivery.unwrap().id;
    chat.account().wait_for_delivery(&queued, |delivery| !delivery.failure.is_empty()).await;

    let message = requested(&chat);
    let service = &chat.fixture.service;
    let event = service.publish("conversation", chat.account().id, &message).await;
    service.settled().await;
    service.deliver_again(&event).await;
    service.settled().await;
    assert_eq!(confirmed(&chat).await, [message.contact_job_id]);
    let cancelled = chat.account().delivery(&queued).await.unwrap();
    assert_eq!(
        (cancelled.status(), cancelled.failure.as_str()),
        (DeliveryStatus::Cancelled, "The contact was erased.")
    );
    assert_eq!(chat.account().delivery(&sent).await.unwrap().status(), DeliveryStatus::Sent);
    for delivery in chat.account().list_deliveries().await.iter().filter(|delivery| !delivery.contact_id.is_empty()) {
        assert_eq!((delivery.recipient_email.as_str(), delivery.last_response.as_str()), ("", ""), "{delivery:?}");
    }
    let left = "FROM deliveries WHERE contact_id IS NOT NULL AND (recipient <> '' OR mailbox <> '' OR subject <> '')";
    assert_eq!((chat.fixture.count(left).await, chat.fixture.count("FROM delivery_mails").await), (0, 0));
    // The decision keeps its ids and its reason.
    let decision = chat.explain(1).await.unwrap().decision.unwrap();
    assert_eq!((decision.conversation_id, decision.delivery_id), (chat.id.to_string(), queued));
}

async fn x2_an_erasure_cancels_what_has_failed_and_what_is_parked(mode: Mode) {
    const REFUSES: &[&str] = &["550 5.7.1 no"];
    // It closes the connection after each mail, so nobody knows the outcome.
    const SAYS_NOTHING: &[&str] = &[];
    for (answers, status) in [(REFUSES, DeliveryStatus::Failed), (SAYS_NOTHING, DeliveryStatus::Parked)] {
        let server = MailServer::start(answers).await;
        let chat = Chat::closed_with(mode, smtp(server.port, Duration::from_millis(20))).await;
        let id = chat.deliver_until(status).await.id;
        assert_eq!(chat.fixture.count("FROM delivery_mails").await, 1, "{status:?}");
        erase(&chat).await;
        let erased = chat.account().delivery(&id).await.unwrap();
        assert_eq!((erased.status(), erased.failure.as_str()), (DeliveryStatus::Cancelled, "The contact was erased."));
        assert_eq!((erased.recipient_email.as_str(), erased.last_response.as_str()), ("", ""), "{status:?}");
        assert_eq!(chat.fixture.count("FROM delivery_mails").await, 0, "{status:?}");
        assert!(chat.account().retry(&id).await.is_err(), "{status:?}");
    }
}

async fn x2_a_close_that_is_decided_after_the_erasure_has_no_address(mode: Mode) {
    let chat = Chat::closed(mode).await;
    serve_erased(&chat);
    chat.change(|answers| answers.facts.push(facts(chat.contact, "second@vera.example")));
    let service = &chat.fixture.service;
    service.publish("conversation", chat.account().id, &requested(&chat)).await;
    service.settled().await;
    // Its event was delayed, and an older replica of the conversation service may still answer the address.
    service.publish("conversation", chat.account().id, &closed_event(chat.id, 2, chat.contact)).await;
    service.settled().await;
    let delivery = chat.explain(2).await.unwrap().delivery.unwrap();
    let delivery = chat.account().wait_for_status(&delivery.id, DeliveryStatus::Failed).await;
    assert_eq!(delivery.recipient_email, "");
    assert_eq!(chat.fixture.mailbox().len(), 1, "only the code of the sender");
    let by_hand = chat.send(chat.send_request(chat.contact)).await.unwrap_err();
    assert_eq!(by_hand.code(), tonic::Code::NotFound);
}

async fn x2_without_the_conversation_service_nothing_is_confirmed(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let fake = &chat.fixture.service.fake;
    fake.on(|_: Request<ListErasedConversationsRequest>| {
        Err::<ListErasedConversationsResponse, _>(Status::unavailable("for a test"))
    });
    let message = requested(&chat);
    chat.fixture.service.publish("conversation", chat.account().id, &message).await;
    wait_until("a second call", || async { fake.calls::<ListErasedConversationsRequest>() >= 2 }).await;
    assert!(confirmed(&chat).await.is_empty());
    serve_erased(&chat);
    chat.fixture.service.settled().await;
    assert_eq!(confirmed(&chat).await, [message.contact_job_id]);
}

async fn x2_an_erasure_that_cannot_be_read_holds_nothing_up(mode: Mode) {
    let chat = Chat::closed(mode).await;
    serve_erased(&chat);
    let (service, account) = (&chat.fixture.service, chat.account().id);
    let unreadable = ContactErasureRequested { contact_job_id: "no UUID".into(), ..requested(&chat) };
    service.publish("conversation", account, &unreadable).await;
    let message = requested(&chat);
    service.publish("conversation", account, &message).await;
    service.settled().await;
    assert_eq!(confirmed(&chat).await, [message.contact_job_id]);
}
