//! The consumer `conversation.sent_transcripts`: rule C3.

use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    conversation::v1::entry::Content,
    event::v1::DeliverySent,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes};

use crate::fixture::{ADA, Fixture};

on_both_modes!(
    c3_a_sent_transcript_is_one_entry_of_the_thread,
    c3_the_entry_of_a_transcript_is_by_the_agent_who_sent_it,
    events_that_cannot_be_read_hold_nothing_up,
);

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

async fn c3_the_entry_of_a_transcript_is_by_the_agent_who_sent_it(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    fixture.post(&chat.id, "hello").await;
    let ada = Actor { kind: ActorKind::Agent.into(), id: ADA.to_string(), name: String::new() };
    for requested_by in [Some(ada), None] {
        let event = DeliverySent { requested_by, ..sent(&chat.id) };
        fixture.service.publish("notification", fixture.account, &event).await;
        fixture.service.settled().await;
    }
    let entries = fixture.entries(&chat.id).await;
    let authors = entries.iter().filter(|entry| matches!(entry.content, Some(Content::TranscriptSent(_))));
    let authors: Vec<_> = authors.map(|entry| entry.author.clone().unwrap()).collect();
    assert_eq!((authors[0].kind(), authors[0].id.clone()), (ActorKind::Agent, ADA.to_string()));
    assert_eq!(authors[0].name, fixture.conversation(&chat.id).await.assignee.unwrap().name);
    assert_eq!((authors[1].kind(), authors[1].id.as_str()), (ActorKind::System, ""));
}
