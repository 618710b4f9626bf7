//! `PostComment`: rules C7, C11, C12.

use frontdesk_proto::{
    conversation::v1::{Mention, PostCommentRequest, entry::Content, thread_service_client::ThreadServiceClient},
    event::v1::CommentPosted,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason, request_id};
use tonic::Code;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::fixture::{ADA, BOB, Fixture, GONE, twenty};

on_both_modes!(
    c11_a_comment_is_accepted_in_a_bots_chat_and_after_the_close_and_a_repeat_gets_the_first_answer,
    c12_twenty_repeats_at_once_comment_once,
    c7_a_comment_is_not_visible_to_the_visitor,
    c7_a_comment_mentions_agents_and_its_event_names_each_once,
    c7_a_comment_that_mentions_somebody_who_is_not_active_is_refused_by_name,
    c7_a_mention_lies_within_the_text_and_overlaps_no_other,
    s2_another_accounts_conversation_does_not_exist,
);

pub fn comment(conversation: &str) -> PostCommentRequest {
    PostCommentRequest {
        conversation_id: conversation.into(),
        text: "note".into(),
        request_id: request_id(),
        mentions: Vec::new(),
    }
}

fn mention(start: i32, length: i32, agent: Uuid) -> Mention {
    Mention { start, length, agent_id: agent.to_string() }
}

async fn c11_a_comment_is_accepted_in_a_bots_chat_and_after_the_close_and_a_repeat_gets_the_first_answer(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let bot_chat = fixture.bot_chat("a").await;
    let closed = fixture.chat("b").await;
    crate::close_conversation::close(&fixture, &closed.id).await;
    let mut threads = fixture.threads(ADA);
    for id in [&bot_chat.id, &closed.id] {
        let request = comment(id);
        let first = threads.post_comment(request.clone()).await.unwrap().into_inner();
        assert_eq!(threads.post_comment(request.clone()).await.unwrap().into_inner(), first);
        assert_eq!(first.entry.unwrap().request_id, request.request_id);
        let other = PostCommentRequest { text: "other".into(), ..request };
        assert_eq!(reason(&threads.post_comment(other).await.unwrap_err()), "REQUEST_ID_REUSED");
    }
    assert_eq!(fixture.service.appended::<CommentPosted>().await.len(), 2);
}

async fn c12_twenty_repeats_at_once_comment_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let request = comment(&chat.id);
    let posted = twenty(|_| {
        let (mut threads, request) = (fixture.threads(ADA), request.clone());
        async move { threads.post_comment(request).await.unwrap().into_inner().entry.unwrap().sequence }
    });
    assert_eq!(posted.await, [1; 20]);
}

async fn c7_a_comment_is_not_visible_to_the_visitor(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let posted = fixture.threads(ADA).post_comment(comment(&chat.id)).await.unwrap().into_inner().entry.unwrap();
    assert_eq!((posted.visitor_sequence, posted.author.unwrap().id), (0, ADA.to_string()));
    assert_eq!(fixture.conversation(&chat.id).await.last_visitor_sequence, 0);
    assert!(fixture.chat_entries("v", &chat.id).await.is_empty());
}

async fn c7_a_comment_mentions_agents_and_its_event_names_each_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    // Positions count code points: the person with a computer is three.
    let request = PostCommentRequest {
        text: "👩‍💻 @Bob, ask @Ada or @Bob".into(),
        mentions: vec![mention(4, 4, BOB), mention(14, 4, ADA), mention(22, 4, BOB)],
        ..comment(&chat.id)
    };
    let mut threads = fixture.threads(ADA);
    let posted = threads.post_comment(request.clone()).await.unwrap().into_inner().entry.unwrap();
    let Some(Content::Comment(comment)) = &posted.content else { panic!("{posted:?}") };
    assert_eq!(comment.mentions, request.mentions);
    let words: Vec<String> = comment
        .mentions
        .iter()
        .map(|mention| {
            let (start, length) = (mention.start.try_into().unwrap(), mention.length.try_into().unwrap());
            comment.text.chars().skip(start).take(length).collect()
        })
        .collect();
    assert_eq!(words, ["@Bob", "@Ada", "@Bob"]);
    assert_eq!(fixture.entries(&chat.id).await, std::slice::from_ref(&posted));
    let events = fixture.service.appended::<CommentPosted>().await;
    let [event] = &events[..] else { panic!("{events:?}") };
    let mut expected = [ADA.to_string(), BOB.to_string()];
    expected.sort();
    assert_eq!(event.mentioned_agent_ids, expected);
    // A repeat with other mentions is another comment.
    let other = PostCommentRequest { mentions: Vec::new(), ..request };
    assert_eq!(reason(&threads.post_comment(other).await.unwrap_err()), "REQUEST_ID_REUSED");
}

async fn c7_a_comment_that_mentions_somebody_who_is_not_active_is_refused_by_name(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    for (agent, text) in [(GONE, "Gone was deactivated"), (new_id(), "the account has no agent")] {
        let request = PostCommentRequest { mentions: vec![mention(0, 4, agent)], ..comment(&chat.id) };
        let refused = fixture.threads(ADA).post_comment(request).await.unwrap_err();
        let expected = (Code::FailedPrecondition, "MENTIONED_AGENT_NOT_ACTIVE");
        assert_eq!((refused.code(), reason(&refused).as_str()), expected);
        assert!(refused.message().contains(text), "{refused:?}");
        assert_eq!(refused.get_details_error_info().unwrap().metadata["agent_id"], agent.to_string());
    }
    assert!(fixture.entries(&chat.id).await.is_empty());
}

async fn c7_a_mention_lies_within_the_text_and_overlaps_no_other(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    for (mentions, field) in [
        (vec![mention(0, 5, BOB)], "mentions[0]"),
        (vec![mention(4, 1, BOB)], "mentions[0]"),
        (vec![mention(0, 2, BOB), mention(1, 2, ADA)], "mentions[1]"),
        (vec![mention(2, 2, BOB), mention(0, 2, ADA)], "mentions[1]"),
        (vec![mention(0, 0, BOB)], "mentions[0].length"),
        (vec![mention(-1, 1, BOB)], "mentions[0].start"),
        (vec![mention(i32::MAX, i32::MAX, BOB)], "mentions[0]"),
        (vec![Mention { start: 0, length: 1, agent_id: "Bob".into() }], "mentions[0].agent_id"),
        ((0..21).map(|_| mention(0, 1, BOB)).collect(), "mentions"),
    ] {
        let request = PostCommentRequest { mentions, ..comment(&chat.id) };
        let refused = fixture.threads(ADA).post_comment(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        let violations = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, field, "{refused:?}");
    }
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let mut threads = ThreadServiceClient::new(fixture.in_another_account().as_agent());
    let refused = threads.post_comment(comment(&chat.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
