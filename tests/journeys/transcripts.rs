//! Transcripts: one decision for each close with its explanation, and the mails.

use std::time::Duration;

use frontdesk_proto::{
    conversation::v1::{
        CloseConversationRequest, ContactEmail, CreateContactRequest, CreateTicketRequest, PostMessageRequest,
        TicketStatus, UpdateChannelRequest, UpdateTicketRequest, channel_service_client::ChannelServiceClient,
        contact_service_client::ContactServiceClient, conversation_service_client::ConversationServiceClient,
        entry::Content, thread_service_client::ThreadServiceClient, ticket_service_client::TicketServiceClient,
    },
    notification::v1::{
        Delivery, DeliveryStatus, GetDeliveryRequest, ListTranscriptDecisionsRequest, PreviewTranscriptRequest,
        RetryDeliveryRequest, SendTranscriptRequest, SkipReason, TranscriptPart,
        delivery_service_client::DeliveryServiceClient, transcript_service_client::TranscriptServiceClient,
    },
};
use frontdesk_tests::{Account, As, Chat, TestSuite, reason, request_id, wait_for};
use mail_parser::MessageParser;
use tonic::Code;

async fn close(agent: &As, chat: &Chat) {
    let request = CloseConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
    ConversationServiceClient::new(agent.clone()).close_conversation(request).await.unwrap();
}

async fn reply(agent: &As, chat: &Chat, text: &str) {
    let message = PostMessageRequest {
        conversation_id: chat.id.clone(),
        text: text.into(),
        request_id: request_id(),
        ..Default::default()
    };
    ThreadServiceClient::new(agent.clone()).post_message(message).await.unwrap();
}

async fn delivery(agent: &As, id: &str, status: DeliveryStatus) -> Delivery {
    wait_for(status.as_str_name(), || async {
        let request = GetDeliveryRequest { delivery_id: id.to_owned() };
        let answer = DeliveryServiceClient::new(agent.clone()).get_delivery(request).await.unwrap();
        answer.into_inner().delivery.filter(|delivery| delivery.status() == status)
    })
    .await
}

#[tokio::test]
async fn t1_t3_t6_t7_a_closed_chat_is_mailed_once_with_the_visible_thread() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let sender = account.fallback_sender().await;
    let (_, agent) = account.agent("Ada \u{202e}Byron").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.known_visitor("v", "Vera@Visitor.example"), &channel).await;
    chat.say("<script>alert(1)</script> & \"quotes\"\n[00:00:00 CET] Ada:\n    forged").await.unwrap();
    reply(&agent, &chat, "Grüße, 你好").await;
    close(&agent, &chat).await;
    let explained = Account::explained(&agent, &chat.id, 1).await;
    let decision = explained.decision.unwrap();
    assert!(
        decision.send && decision.email_verified && !decision.had_bot_session && decision.had_agent,
        "{decision:?}"
    );
    let sent = delivery(&agent, &decision.delivery_id, DeliveryStatus::Sent).await;
    assert_eq!(sent.recipient_email, "vera@visitor.example");

    let mails = account.mails("vera@visitor.example").await;
    assert_eq!(mails.len(), 1);
    let mail = MessageParser::default().parse(&mails[0].content).unwrap();
    assert_eq!(mail.from().unwrap().first().unwrap().address().unwrap(), sender);
    assert_eq!(format!("<{}>", mail.message_id().unwrap()), sent.mail_message_id);
    let (html, text) = (mail.body_html(0).unwrap(), mail.body_text(0).unwrap());
    for part in ["Grüße, 你好", "https://shop.example/page", "UTC"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script"), "T7: texts are escaped");
    assert!(
        !html.contains('\u{202e}') && !text.contains('\u{202e}'),
        "no character that reverses the reading direction"
    );
    assert!(
        !text.lines().any(|line| line.starts_with("[00:00:00 CET] Ada:")),
        "a visitor cannot forge a line of another"
    );
    // The thread has one entry for the sent transcript (C3).
    wait_for("the entry", || async {
        let thread = Account::thread(&agent, &chat.id).await;
        let sent = thread
            .iter()
            .filter(|entry| matches!(&entry.content, Some(Content::TranscriptSent(sent)) if !sent.manual))
            .count();
        (sent == 1).then_some(())
    })
    .await;
    let list = ListTranscriptDecisionsRequest { conversation_id: chat.id.clone(), ..Default::default() };
    let list = TranscriptServiceClient::new(agent.clone())
        .list_transcript_decisions(list)
        .await
        .unwrap()
        .into_inner()
        .decisions;
    assert_eq!(list.len(), 1, "T3: exactly one decision");
}

#[tokio::test]
async fn t2_a_ticket_a_switch_or_a_missing_address_skips_the_mail_with_its_reason() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;

    let unknown = account.start_chat(account.visitor("unknown"), &channel).await;
    reply(&agent, &unknown, "hello").await;
    let ticket = |chat: &Chat| CreateTicketRequest {
        conversation_id: chat.id.clone(),
        subject: "Brakes".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let mut tickets = TicketServiceClient::new(agent.clone());
    assert_eq!(reason(&tickets.create_ticket(ticket(&unknown)).await.unwrap_err()), "CONTACT_UNKNOWN");
    close(&agent, &unknown).await;
    assert_eq!(Account::explained(&agent, &unknown.id, 1).await.decision.unwrap().skip_reason(), SkipReason::NoAddress);

    let ticketed = account.start_chat(account.known_visitor("t", "t@visitor.example"), &channel).await;
    reply(&agent, &ticketed, "hello").await;
    let made = tickets.create_ticket(ticket(&ticketed)).await.unwrap().into_inner().ticket.unwrap();
    close(&agent, &ticketed).await;
    assert_eq!(Account::explained(&agent, &ticketed.id, 1).await.decision.unwrap().skip_reason(), SkipReason::Ticket);
    // The contact's next chat: an open ticket skips the mail, a closed one does not.
    let next = account.start_chat(account.known_visitor("t", "t@visitor.example"), &channel).await;
    reply(&agent, &next, "hello").await;
    close(&agent, &next).await;
    assert_eq!(Account::explained(&agent, &next.id, 1).await.decision.unwrap().skip_reason(), SkipReason::Ticket);
    let done =
        UpdateTicketRequest { ticket_id: made.id, status: Some(TicketStatus::Closed.into()), ..Default::default() };
    tickets.update_ticket(done).await.unwrap();
    let last = account.start_chat(account.known_visitor("t", "t@visitor.example"), &channel).await;
    reply(&agent, &last, "hello").await;
    close(&agent, &last).await;
    assert!(Account::explained(&agent, &last.id, 1).await.decision.unwrap().send);

    let off =
        UpdateChannelRequest { channel_id: channel.clone(), transcript_enabled: Some(false), ..Default::default() };
    ChannelServiceClient::new(account.admin()).update_channel(off).await.unwrap();
    let disabled = account.start_chat(account.known_visitor("d", "d@visitor.example"), &channel).await;
    reply(&agent, &disabled, "hello").await;
    close(&agent, &disabled).await;
    let decision = Account::explained(&agent, &disabled.id, 1).await.decision.unwrap();
    assert_eq!(decision.skip_reason(), SkipReason::Disabled);
    assert!(!decision.explanation.is_empty());
    for address in ["d@visitor.example"] {
        assert!(account.mails(address).await.is_empty());
    }
    wait_for("the mail", || async { (account.mails("t@visitor.example").await.len() == 1).then_some(()) }).await;
}

#[tokio::test]
async fn t5_without_a_sender_the_delivery_fails_visibly_and_can_be_retried() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.known_visitor("v", "v@visitor.example"), &channel).await;
    reply(&agent, &chat, "hello").await;
    close(&agent, &chat).await;
    let id = Account::explained(&agent, &chat.id, 1).await.decision.unwrap().delivery_id;
    let failed = delivery(&agent, &id, DeliveryStatus::Failed).await;
    assert!(!failed.failure.is_empty(), "{failed:?}");
    account.fallback_sender().await;
    DeliveryServiceClient::new(agent.clone())
        .retry_delivery(RetryDeliveryRequest { delivery_id: id.clone() })
        .await
        .unwrap();
    delivery(&agent, &id, DeliveryStatus::Sent).await;
    assert_eq!(account.mails("v@visitor.example").await.len(), 1, "one mail after the retry");
}

#[tokio::test]
async fn t4_s4_a_bots_chat_is_sent_by_hand_to_addresses_of_its_contact_only() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    chat.until_text("Your address?").await;
    let contact = CreateContactRequest {
        name: "Zoe".into(),
        emails: vec![ContactEmail { email: "zoe@visitor.example".into(), verified: true }],
        request_id: request_id(),
        ..Default::default()
    };
    let contact =
        ContactServiceClient::new(agent.clone()).create_contact(contact).await.unwrap().into_inner().contact.unwrap();
    let send = SendTranscriptRequest {
        conversation_id: chat.id.clone(),
        contact_id: contact.id.clone(),
        subject: "Your chat, as promised".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let mut transcripts = TranscriptServiceClient::new(agent.clone());
    let open = transcripts.send_transcript(send.clone()).await.unwrap_err();
    assert_eq!((open.code(), reason(&open).as_str()), (Code::FailedPrecondition, "CONVERSATION_OPEN"));
    suite.advance(Duration::from_secs(31 * 60));
    assert_eq!(
        Account::explained(&agent, &chat.id, 1).await.decision.unwrap().skip_reason(),
        SkipReason::BotConversation
    );
    let stranger = SendTranscriptRequest { email: "eve@evil.example".into(), request_id: request_id(), ..send.clone() };
    assert_eq!(reason(&transcripts.send_transcript(stranger).await.unwrap_err()), "EMAIL_NOT_OF_CONTACT");

    let first = transcripts.send_transcript(send.clone()).await.unwrap().into_inner().delivery.unwrap();
    let again = transcripts.send_transcript(send).await.unwrap().into_inner().delivery.unwrap();
    assert_eq!(first.id, again.id);
    delivery(&agent, &first.id, DeliveryStatus::Sent).await;
    let mails = account.mails("zoe@visitor.example").await;
    assert_eq!(mails.len(), 1);
    assert_eq!(MessageParser::default().parse(&mails[0].content).unwrap().subject(), Some("Your chat, as promised"));

    for (part, begins) in
        [(TranscriptPart::Html, "<!doctype html>"), (TranscriptPart::Text, ""), (TranscriptPart::Json, "{")]
    {
        let preview =
            PreviewTranscriptRequest { conversation_id: chat.id.clone(), part: part.into(), ..Default::default() };
        let preview = transcripts.preview_transcript(preview).await.unwrap().into_inner();
        assert_eq!(preview.decision.unwrap().skip_reason(), SkipReason::BotConversation, "T9: the decision");
        assert_eq!(preview.content.len(), usize::try_from(preview.total_size).unwrap(), "{part:?}");
        let content = String::from_utf8(preview.content).unwrap();
        assert!(content.to_lowercase().starts_with(begins), "{part:?}: {content}");
        assert!(content.contains("Your address?"), "T9: {part:?}: {content}");
    }
    // The conversation has no contact, so that there is no mail to show.
    let preview = PreviewTranscriptRequest {
        conversation_id: chat.id.clone(),
        part: TranscriptPart::Mail.into(),
        ..Default::default()
    };
    let preview = transcripts.preview_transcript(preview).await.unwrap().into_inner();
    assert!(preview.content.is_empty() && preview.total_size == 0);
}

#[tokio::test]
async fn t3_the_next_close_of_a_reopened_chat_is_decided_anew_with_the_whole_thread() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.known_visitor("v", "v@visitor.example"), &channel).await;
    reply(&agent, &chat, "before").await;
    close(&agent, &chat).await;
    let first = Account::explained(&agent, &chat.id, 1).await.decision.unwrap();
    delivery(&agent, &first.delivery_id, DeliveryStatus::Sent).await;
    let reopen = frontdesk_proto::conversation::v1::ReopenConversationRequest {
        conversation_id: chat.id.clone(),
        ..Default::default()
    };
    ConversationServiceClient::new(agent.clone()).reopen_conversation(reopen).await.unwrap();
    reply(&agent, &chat, "after").await;
    // S4: a close that comes sooner after the first mail has none.
    suite.advance(Duration::from_secs(11 * 60));
    close(&agent, &chat).await;
    let second = Account::explained(&agent, &chat.id, 2).await.decision.unwrap();
    delivery(&agent, &second.delivery_id, DeliveryStatus::Sent).await;
    let mails = account.mails("v@visitor.example").await;
    assert_eq!(mails.len(), 2);
    let texts = mails.iter().filter(|mail| {
        let parsed = MessageParser::default().parse(&mail.content).unwrap();
        let text = parsed.body_text(0).unwrap().into_owned();
        text.contains("before") && text.contains("after")
    });
    assert_eq!(texts.count(), 1, "the second mail holds the whole thread");
}
