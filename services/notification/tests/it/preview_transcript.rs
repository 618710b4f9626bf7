//! `PreviewTranscript`.

use frontdesk_notification::NotificationSettings;
use frontdesk_proto::{
    actor::v1::ActorKind,
    conversation::v1::{Channel, ConversationStatus, GetChannelRequest, GetChannelResponse, ListEntriesRequest},
    event::v1::ConversationClosed,
    notification::v1::{DeliveryStatus, PreviewTranscriptRequest, SkipReason, TranscriptPart},
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason};
use tonic::{Code, Request};
use tonic_types::StatusExt;

use crate::{
    chat::{Chat, closed_event, facts, recipient_and_text, said},
    fixture::smtp,
    mail_server::MailServer,
};

on_both_modes!(
    t9_the_preview_of_a_sent_transcript_has_the_bytes_of_its_mail,
    t9_a_preview_before_the_close_differs_from_the_mail_only_in_its_date_and_message_id,
    t9_the_preview_of_an_open_chat_foresees_the_decision_of_a_close,
    t9_without_a_part_the_thread_is_not_read,
    t9_the_mail_of_a_closed_chat_that_is_not_sent_is_the_same_in_every_call,
    t9_without_a_sender_there_is_no_mail_to_preview,
    t9_the_preview_of_a_mail_that_waits_has_its_stored_bytes,
    s4_a_replica_composes_a_few_previews_at_a_time,
    t9_a_part_that_is_larger_than_a_response_is_read_to_its_end_by_offsets,
    t9_an_offset_beyond_the_part_is_refused_with_its_size,
    t6_of_a_chat_too_long_for_a_mail_the_first_and_the_last_part_are_mailed,
    s2_another_accounts_transcript_cannot_be_previewed,
);

async fn t9_the_preview_of_a_sent_transcript_has_the_bytes_of_its_mail(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let delivery = chat.deliver_until(DeliveryStatus::Sent).await;
    let mail = chat.fixture.mail(&delivery.id);
    assert_eq!(chat.previewed_part(TranscriptPart::Mail).await, mail);
    let decision = chat.previewed_decision().await;
    assert_eq!((decision.delivery_id.as_str(), decision.id.is_empty()), (delivery.id.as_str(), false));
}

async fn t9_a_preview_before_the_close_differs_from_the_mail_only_in_its_date_and_message_id(mode: Mode) {
    let chat = Chat::closed(mode).await;
    chat.change(|answers| answers.conversation.status = ConversationStatus::Open.into());
    let preview = chat.previewed_part(TranscriptPart::Mail).await;
    let before = chat.account().list_deliveries().await.len();
    chat.change(|answers| answers.conversation.status = ConversationStatus::Closed.into());
    let delivery = chat.deliver_until(DeliveryStatus::Sent).await;
    assert_eq!(without_date_and_id(&preview), without_date_and_id(&chat.fixture.mail(&delivery.id)));
    assert_eq!(chat.account().list_deliveries().await.len(), before + 1, "the preview sent nothing");
}

/// The mail without its Date header and without the delivery's id, which is in the Message-ID and in the boundary.
fn without_date_and_id(mail: &str) -> String {
    let start = mail.find("Message-ID: <").unwrap() + "Message-ID: <".len();
    let id = &mail[start..start + 36];
    let lines = mail.lines().filter(|line| !line.starts_with("Date: "));
    lines.collect::<Vec<_>>().join("\n").replace(id, "ID").replace(&id.replace('-', ""), "ID")
}

async fn t9_the_preview_of_an_open_chat_foresees_the_decision_of_a_close(mode: Mode) {
    let chat = Chat::closed(mode).await;
    chat.change(|answers| {
        answers.conversation.status = ConversationStatus::Open.into();
        answers.facts.push(facts(chat.contact, "first@vera.example"));
    });
    let decision = chat.previewed_decision().await;
    assert_eq!((decision.send, decision.close_number), (true, 2));
    assert_eq!((decision.id.as_str(), decision.delivery_id.as_str()), ("", ""), "there is none yet");
    let mail = chat.previewed_part(TranscriptPart::Mail).await;
    assert_eq!(recipient_and_text(&mail).0, "first@vera.example");

    // A ticket of another conversation of the contact, which is not in the thread.
    chat.change(|answers| answers.facts[1].had_ticket = true);
    assert_eq!(skip_reason(&chat).await, SkipReason::Ticket);

    chat.change(|answers| {
        answers.facts[1].had_ticket = false;
        answers.facts[1].recipient_verified = false;
    });
    assert_eq!(skip_reason(&chat).await, SkipReason::Unspecified);
    for _ in 0..5 {
        let closed = ConversationClosed { email_verified: false, ..closed_event(new_id(), 2, chat.contact) };
        chat.fixture.service.publish("conversation", chat.account().id, &closed).await;
    }
    chat.fixture.service.settled().await;
    assert_eq!(skip_reason(&chat).await, SkipReason::UnverifiedLimit);
}

async fn skip_reason(chat: &Chat) -> SkipReason {
    chat.previewed_decision().await.skip_reason()
}

async fn t9_without_a_part_the_thread_is_not_read(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let preview = chat.preview(TranscriptPart::Unspecified, 0).await.unwrap();
    assert_eq!((preview.content.len(), preview.total_size), (0, 0));
    assert!(preview.decision.unwrap().send);
    assert_eq!(chat.fixture.service.fake.calls::<ListEntriesRequest>(), 0);
}

async fn t9_the_mail_of_a_closed_chat_that_is_not_sent_is_the_same_in_every_call(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let skipped = ConversationClosed { transcript_enabled: false, ..chat.closed_event() };
    chat.fixture.service.publish("conversation", chat.account().id, &skipped).await;
    chat.fixture.service.settled().await;
    let decision = chat.previewed_decision().await;
    assert_eq!((decision.send, decision.id.is_empty(), decision.delivery_id.as_str()), (false, false, ""));
    let first = chat.previewed_part(TranscriptPart::Mail).await;
    chat.fixture.service.clock.advance(std::time::Duration::from_secs(3600)).unwrap();
    assert_eq!(chat.previewed_part(TranscriptPart::Mail).await, first);
    let text = chat.previewed_part(TranscriptPart::Text).await;
    assert_eq!(recipient_and_text(&first).1, text);
}

async fn t9_without_a_sender_there_is_no_mail_to_preview(mode: Mode) {
    let chat = Chat::closed(mode).await;
    chat.change(|answers| answers.facts[0].sender_id = new_id().to_string());
    assert_eq!(chat.previewed_part(TranscriptPart::Mail).await, "");
    assert!(chat.previewed_part(TranscriptPart::Json).await.contains("\"Hello\""));
    let missing = chat.preview(TranscriptPart::Unspecified, 0).await.unwrap().missing_mail;
    assert!(missing.contains("was deleted"), "{missing}");
    // It is what the delivery says.
    let closed = ConversationClosed { sender_id: new_id().to_string(), ..chat.closed_event() };
    chat.fixture.service.publish("conversation", chat.account().id, &closed).await;
    chat.fixture.service.settled().await;
    let delivery = chat.explain(1).await.unwrap().delivery.unwrap();
    assert_eq!(chat.account().wait_for_status(&delivery.id, DeliveryStatus::Failed).await.failure, missing);
    chat.change(|answers| answers.facts[0].sender_id = String::new());
    assert_eq!(chat.preview(TranscriptPart::Mail, 0).await.unwrap().missing_mail, "");
    chat.change(|answers| answers.facts[0].recipient_email = String::new());
    assert!(chat.preview(TranscriptPart::Mail, 0).await.unwrap().missing_mail.contains("no address"));
}

async fn t9_the_preview_of_a_mail_that_waits_has_its_stored_bytes(mode: Mode) {
    let server = MailServer::start(&["451 later"]).await;
    let chat = Chat::closed_with(mode, smtp(server.port, std::time::Duration::from_secs(3600))).await;
    let id = chat.decide().await.delivery.unwrap().id;
    chat.account().wait_for_delivery(&id, |delivery| !delivery.last_response.is_empty()).await;
    chat.change(|answers| answers.channel.name = "Renamed".into());
    let preview = chat.previewed_part(TranscriptPart::Mail).await;
    // The mail library ends the last line once more.
    assert_eq!(preview.trim_end(), server.last_mail().trim_end());
}

async fn s4_a_replica_composes_a_few_previews_at_a_time(mode: Mode) {
    let settings = NotificationSettings { previews_at_once: 2, ..NotificationSettings::default() };
    let chat = Chat::closed_with(mode, settings).await;
    chat.fixture.service.fake.on(|_: Request<GetChannelRequest>| {
        tokio::task::block_in_place(|| std::thread::sleep(std::time::Duration::from_millis(2_600)));
        Ok(GetChannelResponse { channel: Some(Channel::default()) })
    });
    let previews = futures::future::join_all((0..4).map(|_| chat.preview(TranscriptPart::Text, 0))).await;
    let refused: Vec<_> = previews.into_iter().filter_map(Result::err).collect();
    assert!(refused.len() == 2, "{refused:?}");
    for refused in refused {
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "OVERLOADED"));
        assert!(refused.get_details_retry_info().is_some(), "{refused:?}");
    }
}

async fn t9_a_part_that_is_larger_than_a_response_is_read_to_its_end_by_offsets(mode: Mode) {
    const MESSAGES: i32 = 450;
    let chat = Chat::closed(mode).await;
    chat.change(|answers| {
        let text = |number| format!("number {number}. {}", "x".repeat(9_900));
        answers.entries = (1..=MESSAGES).map(|number| said(number, ActorKind::Visitor, "", &text(number))).collect();
        answers.facts[0].last_sequence = MESSAGES;
    });
    // The client has the default limit of 4 MiB for a response.
    for part in [TranscriptPart::Html, TranscriptPart::Text, TranscriptPart::Json, TranscriptPart::Mail] {
        let content = chat.previewed_part(part).await;
        assert!(content.len() > 4 * 1024 * 1024, "{part:?} has {} bytes", content.len());
        for number in 1..=MESSAGES {
            assert!(content.contains(&format!("number {number}. ")), "{part:?} lacks message {number}");
        }
    }
}

async fn t9_an_offset_beyond_the_part_is_refused_with_its_size(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let size = chat.previewed_part(TranscriptPart::Json).await.len();
    let end = chat.preview(TranscriptPart::Json, size).await.unwrap();
    assert_eq!((end.content.len(), usize::try_from(end.total_size).unwrap()), (0, size));
    for (part, offset) in [(TranscriptPart::Json, size + 1), (TranscriptPart::Unspecified, 1)] {
        let refused = chat.preview(part, offset).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
        let violations = refused.get_details_bad_request().unwrap().field_violations;
        let expected = format!("must be at most {}, the size of the part (bytes)", offset - 1);
        assert_eq!((violations[0].field.as_str(), violations[0].description.as_str()), ("offset", expected.as_str()));
    }
}

async fn t6_of_a_chat_too_long_for_a_mail_the_first_and_the_last_part_are_mailed(mode: Mode) {
    const MESSAGES: i32 = 900;
    const MAX_BYTES: usize = 300 * 1024;
    let settings = NotificationSettings { transcript_max_bytes: MAX_BYTES, ..NotificationSettings::default() };
    let chat = Chat::closed_with(mode, settings).await;
    chat.change(|answers| {
        let text = |number| format!("number {number}. {}", "<ü>".repeat(100));
        answers.entries = (1..=MESSAGES).map(|number| said(number, ActorKind::Visitor, "", &text(number))).collect();
        answers.facts[0].last_sequence = MESSAGES;
    });
    let (html, text) =
        (chat.previewed_part(TranscriptPart::Html).await, chat.previewed_part(TranscriptPart::Text).await);
    let bytes = html.len() + text.len();
    assert!(bytes <= MAX_BYTES && bytes > 200 * 1024, "{bytes}");
    assert!(chat.answers.lock().unwrap().largest_page < 1_000);
    let shown = text.matches("    number ").count();
    for part in [&html, &text] {
        assert!(part.contains("number 1.") && part.contains(&format!("number {MESSAGES}.")));
        assert!(part.contains(&format!("{} messages were left out here", 900 - shown)), "{shown}");
    }
    assert!(html.contains(&format!("{MESSAGES} messages.")), "the whole chat is counted");
}

async fn s2_another_accounts_transcript_cannot_be_previewed(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let request =
        PreviewTranscriptRequest { conversation_id: chat.id.to_string(), ..PreviewTranscriptRequest::default() };
    let refused = chat.fixture.other_account().transcripts().preview_transcript(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
