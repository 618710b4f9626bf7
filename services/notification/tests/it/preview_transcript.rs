//! `PreviewTranscript`.

use frontdesk_notification::NotificationSettings;
use frontdesk_proto::{
    actor::v1::ActorKind,
    conversation::v1::ConversationStatus,
    event::v1::ConversationClosed,
    notification::v1::{DeliveryState, PreviewTranscriptRequest, SkipReason},
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason};
use tonic::Code;

use crate::chat::{Chat, closed_event, facts, recipient_and_text, said};

on_both_modes!(
    t9_the_preview_of_a_sent_transcript_has_the_bytes_of_its_mail,
    t9_a_preview_before_the_close_differs_from_the_mail_only_in_its_date_and_message_id,
    t9_the_preview_of_an_open_chat_foresees_the_decision_of_a_close,
    t6_of_a_chat_too_long_for_a_mail_the_first_and_the_last_part_are_mailed,
    s2_another_accounts_transcript_cannot_be_previewed,
);

async fn t9_the_preview_of_a_sent_transcript_has_the_bytes_of_its_mail(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let delivery = chat.deliver_until(DeliveryState::Sent).await;
    let preview = chat.preview().await;
    assert_eq!(String::from_utf8(preview.mail).unwrap(), chat.fixture.mail(&delivery.id));
    let decision = preview.decision.unwrap();
    assert_eq!((decision.delivery_id.as_str(), decision.id.is_empty()), (delivery.id.as_str(), false));
}

async fn t9_a_preview_before_the_close_differs_from_the_mail_only_in_its_date_and_message_id(mode: Mode) {
    let chat = Chat::closed(mode).await;
    chat.change(|answers| answers.conversation.status = ConversationStatus::Open.into());
    let preview = String::from_utf8(chat.preview().await.mail).unwrap();
    let before = chat.account().list_deliveries().await.len();
    chat.change(|answers| answers.conversation.status = ConversationStatus::Closed.into());
    let delivery = chat.deliver_until(DeliveryState::Sent).await;
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
    let preview = chat.preview().await;
    let decision = preview.decision.unwrap();
    assert_eq!((decision.send, decision.close_number, decision.id.as_str()), (true, 2, ""));
    assert_eq!(recipient_and_text(std::str::from_utf8(&preview.mail).unwrap()).0, "first@vera.example");

    // A ticket of another conversation of the contact, which is not in the thread.
    chat.change(|answers| answers.facts[1].had_ticket = true);
    assert_eq!(skip_reason(&chat).await, SkipReason::Ticket);

    chat.change(|answers| {
        answers.facts[1].had_ticket = false;
        answers.facts[1].recipient_verified = false;
    });
    assert_eq!(skip_reason(&chat).await, SkipReason::Unspecified);
    for _ in 0..5 {
        let closed = ConversationClosed { address_verified: false, ..closed_event(new_id(), 1, chat.contact) };
        chat.fixture.service.publish("conversation", chat.account().id, &closed).await;
    }
    chat.fixture.service.settled().await;
    assert_eq!(skip_reason(&chat).await, SkipReason::UnverifiedLimit);
}

async fn skip_reason(chat: &Chat) -> SkipReason {
    chat.preview().await.decision.unwrap().skip_reason()
}

async fn t6_of_a_chat_too_long_for_a_mail_the_first_and_the_last_part_are_mailed(mode: Mode) {
    const MESSAGES: i64 = 900;
    const MAX_BYTES: usize = 300 * 1024;
    let settings = NotificationSettings { transcript_max_bytes: MAX_BYTES, ..NotificationSettings::default() };
    let chat = Chat::closed_with(mode, settings).await;
    chat.change(|answers| {
        let text = |number| format!("number {number}. {}", "<ü>".repeat(100));
        answers.entries = (1..=MESSAGES).map(|number| said(number, ActorKind::Visitor, "", &text(number))).collect();
        answers.facts[0].last_sequence = MESSAGES;
    });
    let preview = chat.preview().await;
    let bytes = preview.html.len() + preview.text.len();
    assert!(bytes <= MAX_BYTES && bytes > 200 * 1024, "{bytes}");
    assert!(chat.answers.lock().unwrap().largest_page < 1_000);
    let shown = preview.text.matches("    number ").count();
    for part in [&preview.html, &preview.text] {
        assert!(part.contains("number 1.") && part.contains(&format!("number {MESSAGES}.")));
        assert!(part.contains(&format!("{} messages were left out here", 900 - shown)), "{shown}");
    }
    assert!(preview.html.contains(&format!("{MESSAGES} messages.")), "the whole chat is counted");
}

async fn s2_another_accounts_transcript_cannot_be_previewed(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let request =
        PreviewTranscriptRequest { conversation_id: chat.id.to_string(), ..PreviewTranscriptRequest::default() };
    let refused = chat.fixture.other_account().transcripts().preview_transcript(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
