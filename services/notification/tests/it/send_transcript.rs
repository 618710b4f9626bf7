//! `SendTranscript`.

use frontdesk_notification::NotificationSettings;
use frontdesk_proto::{
    actor::v1::ActorKind,
    assignment::v1::{GetAgentRequest, GetAgentResponse},
    conversation::v1::{ConversationStatus, GetConversationRequest},
    event::v1::DeliverySent,
    notification::v1::{DeliveryKind, DeliveryStatus, SendTranscriptRequest},
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason, request_id};
use tonic::{Code, Request, Status};

use crate::{
    chat::{Chat, contact},
    fixture::{agent, twenty_at_once},
};

on_both_modes!(
    t4_a_transcript_goes_to_the_visitor_under_the_requested_subject,
    t4_another_contact_reads_the_visitors_name,
    t4_an_address_of_the_contact_is_found_in_any_spelling,
    c12_a_repeated_request_sends_one_transcript_even_after_the_chat_was_reopened,
    a2_an_agent_who_is_not_active_sends_retries_and_cancels_nothing,
    c12_a_repeat_gets_the_first_delivery_also_after_the_agent_was_deactivated,
    t4_the_transcript_of_an_open_chat_cannot_be_sent,
    s4_an_address_that_is_not_the_contacts_is_refused,
    t4_an_unknown_time_zone_is_refused,
    s4_transcripts_by_hand_are_limited_per_recipient_and_per_agent,
    c12_twenty_repeats_at_once_send_one_transcript,
    s4_twenty_requests_at_once_stay_within_the_limit_of_the_recipient,
    s2_another_accounts_conversation_cannot_be_sent,
);

async fn t4_a_transcript_goes_to_the_visitor_under_the_requested_subject(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let request = SendTranscriptRequest { subject: "As promised".into(), ..chat.send_request(chat.contact) };
    let delivery = chat.send(request).await.unwrap();
    assert_eq!(delivery.kind(), DeliveryKind::ManualTranscript);
    chat.account().wait_for_status(&delivery.id, DeliveryStatus::Sent).await;
    // The address that a close would store, not the contact's first one.
    let (recipient, text) = chat.recipient_and_text(&delivery.id);
    assert_eq!(recipient, "second@vera.example");
    assert!(text.starts_with("As promised"), "{text}");
    let sent = chat.fixture.service.appended::<DeliverySent>().await;
    let sent = sent.iter().find(|event| event.delivery_id == delivery.id).unwrap();
    assert!(sent.manual && sent.contact_id == chat.contact.to_string());
    let by = sent.requested_by.clone().unwrap();
    assert_eq!((by.kind(), by.id.as_str(), by.name.as_str()), (ActorKind::Agent, chat.account().agent_id.as_str(), ""));
    assert_eq!(chat.account().delivery(&delivery.id).await.unwrap().requested_by, Some(by));
}

async fn t4_an_address_of_the_contact_is_found_in_any_spelling(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let other = new_id();
    chat.change(|answers| answers.contacts.push(contact(other, "Nina", &["nina@xn--mller-kva.example"])));
    let request = SendTranscriptRequest { email: "Nina@Müller.example".into(), ..chat.send_request(other) };
    let delivery = chat.send(request).await.unwrap();
    chat.account().wait_for_status(&delivery.id, DeliveryStatus::Sent).await;
    assert_eq!(chat.recipient_and_text(&delivery.id).0, "nina@xn--mller-kva.example");
    let none = SendTranscriptRequest { email: "nina@".into(), ..chat.send_request(other) };
    assert_eq!(chat.send(none).await.unwrap_err().code(), Code::InvalidArgument);
}

async fn t4_another_contact_reads_the_visitors_name(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let other = new_id();
    chat.change(|answers| answers.contacts.push(contact(other, "Otto", &["otto@other.example"])));
    let delivery = chat.send(chat.send_request(other)).await.unwrap();
    chat.account().wait_for_status(&delivery.id, DeliveryStatus::Sent).await;
    let (recipient, text) = chat.recipient_and_text(&delivery.id);
    assert_eq!(recipient, "otto@other.example");
    assert!(text.contains("Vera (visitor):") && !text.contains("Otto"), "{text}");
    assert!(text.contains("because Acme sent you the transcript of a chat.") && !text.contains("Your chat"), "{text}");

    chat.change(|answers| {
        answers.conversation.contact_id = String::new();
        answers.facts.iter_mut().for_each(|facts| facts.visitor_name.clear());
    });
    let delivery = chat.send(chat.send_request(other)).await.unwrap();
    chat.account().wait_for_status(&delivery.id, DeliveryStatus::Sent).await;
    let (_, text) = chat.recipient_and_text(&delivery.id);
    assert!(text.contains("] Visitor:") && !text.contains("You:"), "{text}");
}

async fn c12_a_repeated_request_sends_one_transcript_even_after_the_chat_was_reopened(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let request = chat.send_request(chat.contact);
    let first = chat.send(request.clone()).await.unwrap();
    chat.account().wait_for_status(&first.id, DeliveryStatus::Sent).await;
    chat.change(|answers| answers.conversation.status = ConversationStatus::Open.into());
    let asked = chat.fixture.service.fake.calls::<GetConversationRequest>();
    assert_eq!(chat.send(request.clone()).await.unwrap().id, first.id);
    assert_eq!(chat.fixture.service.fake.calls::<GetConversationRequest>(), asked, "a repeat asks no other service");
    let other = SendTranscriptRequest { subject: "Other".into(), ..request };
    assert_eq!(reason(&chat.send(other).await.unwrap_err()), "REQUEST_ID_REUSED");
}

async fn t4_the_transcript_of_an_open_chat_cannot_be_sent(mode: Mode) {
    let chat = Chat::closed(mode).await;
    chat.change(|answers| answers.conversation.status = ConversationStatus::Open.into());
    let refused = chat.send(chat.send_request(chat.contact)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CONVERSATION_OPEN"));
}

async fn s4_an_address_that_is_not_the_contacts_is_refused(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let request = SendTranscriptRequest { email: "eve@other.example".into(), ..chat.send_request(chat.contact) };
    let refused = chat.send(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "EMAIL_NOT_OF_CONTACT"));
    let request = SendTranscriptRequest { email: "FIRST@vera.example".into(), ..chat.send_request(chat.contact) };
    assert_eq!(chat.send(request).await.unwrap().recipient_email, "first@vera.example");
}

async fn t4_an_unknown_time_zone_is_refused(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let request = SendTranscriptRequest { time_zone: "Mars/Olympus".into(), ..chat.send_request(chat.contact) };
    assert_eq!(chat.send(request).await.unwrap_err().code(), Code::InvalidArgument);
}

async fn s4_transcripts_by_hand_are_limited_per_recipient_and_per_agent(mode: Mode) {
    let settings = NotificationSettings {
        manual_per_recipient_per_hour: 2,
        manual_per_agent_per_hour: 3,
        ..NotificationSettings::default()
    };
    let chat = Chat::closed_with(mode, settings).await;
    let to = |email: &str| SendTranscriptRequest { email: email.into(), ..chat.send_request(chat.contact) };
    for _ in 0..2 {
        chat.send(to("first@vera.example")).await.unwrap();
    }
    let refused = chat.send(to("First@vera.example")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "MAIL_LIMIT"));
    // Another spelling of the same mailbox.
    chat.change(|answers| answers.contacts[0].emails[0].email = "first+1@vera.example".into());
    let refused = chat.send(to("first+1@vera.example")).await.unwrap_err();
    assert_eq!(reason(&refused), "MAIL_LIMIT");
    chat.change(|answers| answers.contacts[0].emails[0].email = "first@vera.example".into());
    assert!(refused.message().contains("to this address"), "{refused:?}");
    chat.send(to("second@vera.example")).await.unwrap();
    let refused = chat.send(to("second@vera.example")).await.unwrap_err();
    assert!(refused.message().contains("of this agent"), "{refused:?}");
    // Another agent may still send, and after an hour this one may again.
    let colleague = chat.fixture.colleagues();
    colleague.transcripts().send_transcript(to("second@vera.example")).await.unwrap();
    chat.fixture.service.clock.advance(std::time::Duration::from_secs(3601)).unwrap();
    chat.send(to("first@vera.example")).await.unwrap();
}

async fn c12_twenty_repeats_at_once_send_one_transcript(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let (account, request) = (chat.account().clone(), chat.send_request(chat.contact));
    let sent = twenty_at_once(move |_| {
        let (account, request) = (account.clone(), request.clone());
        async move { account.transcripts().send_transcript(request).await.unwrap().into_inner().delivery.unwrap().id }
    })
    .await;
    assert!(sent.windows(2).all(|pair| pair[0] == pair[1]), "{sent:?}");
    let manual = chat.account().list_deliveries().await;
    assert_eq!(manual.iter().filter(|delivery| delivery.kind() == DeliveryKind::ManualTranscript).count(), 1);
}

async fn s4_twenty_requests_at_once_stay_within_the_limit_of_the_recipient(mode: Mode) {
    let settings = NotificationSettings { manual_per_recipient_per_hour: 2, ..NotificationSettings::default() };
    let chat = Chat::closed_with(mode, settings).await;
    let (account, request) = (chat.account().clone(), chat.send_request(chat.contact));
    let sent = twenty_at_once(move |_| {
        let request = SendTranscriptRequest { request_id: request_id(), ..request.clone() };
        let account = account.clone();
        async move { account.transcripts().send_transcript(request).await.is_ok() }
    })
    .await;
    assert_eq!(sent.into_iter().filter(|sent| *sent).count(), 2);
}

async fn s2_another_accounts_conversation_cannot_be_sent(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let request = SendTranscriptRequest { request_id: request_id(), ..chat.send_request(chat.contact) };
    let other = chat.fixture.other_account();
    let refused = other.transcripts().send_transcript(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    assert!(other.list_deliveries().await.is_empty());
}

async fn a2_an_agent_who_is_not_active_sends_retries_and_cancels_nothing(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let delivery = chat.deliver_until(DeliveryStatus::Sent).await;
    assert_eq!(delivery.requested_by, None, "sent automatically");
    let fake = &chat.fixture.service.fake;
    let (account, known) = (chat.account(), chat.account().list_deliveries().await.len());
    let not_active = ("AGENT_NOT_ACTIVE", Code::FailedPrecondition);
    for (state, (expected, code)) in [(1, not_active), (2, not_active), (3, ("UNAVAILABLE", Code::Unavailable))] {
        fake.on(move |request: Request<GetAgentRequest>| match state {
            1 => Ok(agent(&request.get_ref().agent_id, false)),
            2 => Err::<GetAgentResponse, _>(Status::not_found("no such agent")),
            _ => Err(Status::unavailable("not now")),
        });
        let refused = [
            chat.send(chat.send_request(chat.contact)).await.unwrap_err(),
            account.retry(&delivery.id).await.unwrap_err(),
            account.cancel(&delivery.id).await.unwrap_err(),
        ];
        for refused in refused {
            assert_eq!((reason(&refused).as_str(), refused.code()), (expected, code), "{refused}");
        }
    }
    assert_eq!(account.list_deliveries().await.len(), known);
}

async fn c12_a_repeat_gets_the_first_delivery_also_after_the_agent_was_deactivated(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let request = chat.send_request(chat.contact);
    let first = chat.send(request.clone()).await.unwrap();
    let fake = &chat.fixture.service.fake;
    fake.on(|request: Request<GetAgentRequest>| Ok(agent(&request.get_ref().agent_id, false)));
    assert_eq!(chat.send(request).await.unwrap().id, first.id);
}
