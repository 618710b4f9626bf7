//! The consumer `conversation.sent_transcripts`: rule C3.

use frontdesk_proto::{conversation::v1::entry::Content, event::v1::DeliverySent};
use frontdesk_testkit::{Mode, new_id, on_both_modes};

use crate::fixture::Fixture;

on_both_modes!(c3_a_sent_transcript_is_one_entry_of_the_thread, events_that_cannot_be_read_hold_nothing_up,);

fn sent(conversation: &str) -> DeliverySent {
    DeliverySent {
        delivery_id: new_id().to_string(),
        conversation_id: conversation.into(),
        manual: true,
        ..DeliverySent::default()
    }
}

async fn transcripts(fixture: &Fixture, conversation: &str) -> Vec<Content> {
    let entries = fixture.entries(conversation).await;
    entries.into_iter().map(|entry| entry.content.unwrap()).collect()
}

async fn c3_a_sent_transcript_is_one_entry_of_the_thread(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    crate::close_conversation::close(&fixture, &chat.id).await;
    let message = sent(&chat.id);
    let event = fixture.service.publish("notification", fixture.account, &message).await;
    fixture.service.settled().await;
    fixture.service.bus.replay("conversation.sent_transcripts", &event).await.unwrap();
    fixture.service.settled().await;
    let contents = transcripts(&fixture, &chat.id).await;
    let [Content::Closed(_), Content::TranscriptSent(entry)] = &contents[..] else { panic!("{contents:?}") };
    assert_eq!((entry.delivery_id.as_str(), entry.manual), (message.delivery_id.as_str(), true));
}

async fn events_that_cannot_be_read_hold_nothing_up(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let elsewhere = fixture.in_another_account().account;
    for (account, conversation) in [(fixture.account, "no UUID"), (fixture.account, ""), (elsewhere, chat.id.as_str())]
    {
        fixture.service.publish("notification", account, &sent(conversation)).await;
    }
    fixture.service.publish("notification", fixture.account, &sent(&chat.id)).await;
    fixture.service.settled().await;
    assert_eq!(transcripts(&fixture, &chat.id).await.len(), 1);
}
