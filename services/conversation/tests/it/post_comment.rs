//! `PostComment`: rules C7, C11, C12.

use frontdesk_proto::{
    conversation::v1::{PostCommentRequest, thread_service_client::ThreadServiceClient},
    event::v1::CommentPosted,
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id};
use tonic::Code;

use crate::fixture::{ADA, Fixture, twenty};

on_both_modes!(
    c11_a_comment_is_accepted_in_a_bots_chat_and_after_the_close_and_a_repeat_gets_the_first_answer,
    c12_twenty_repeats_at_once_comment_once,
    c7_a_comment_is_not_visible_to_the_visitor,
    s2_another_accounts_conversation_does_not_exist,
);

fn comment(conversation: &str) -> PostCommentRequest {
    PostCommentRequest { conversation_id: conversation.into(), text: "note".into(), request_id: request_id() }
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

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let mut threads = ThreadServiceClient::new(fixture.in_another_account().as_agent());
    let refused = threads.post_comment(comment(&chat.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
