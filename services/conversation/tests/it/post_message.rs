//! `PostMessage`: rules C4, C10, C11, C12.

use frontdesk_proto::{
    actor::v1::ActorKind,
    assignment::v1::{AssignmentCause, GetAgentRequest},
    conversation::v1::{PostMessageRequest, thread_service_client::ThreadServiceClient},
    event::v1::{AssigneeChanged, MessagePosted},
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason};
use tonic::Code;

use crate::fixture::{ADA, BOB, Fixture, GONE, message, twenty};

on_both_modes!(
    c11_a_reply_in_an_unassigned_chat_makes_the_agent_the_assignee,
    c12_a_repeat_gets_the_first_answer_and_other_content_is_refused,
    c12_twenty_repeats_at_once_post_once,
    c11_an_agents_message_in_a_bots_chat_is_refused,
    e3_a_message_after_the_close_is_refused,
    c10_readers_of_the_thread_get_the_request_id_and_the_visitor_does_not,
    an_agent_who_is_unknown_or_deactivated_posts_nothing,
    the_roster_is_asked_once_about_an_unknown_agent,
    s2_another_accounts_conversation_does_not_exist,
);

async fn c11_a_reply_in_an_unassigned_chat_makes_the_agent_the_assignee(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let entry = fixture.post(&chat.id, "hello").await;
    let author = entry.author.unwrap();
    assert_eq!((entry.sequence, author.kind(), author.name.as_str()), (2, ActorKind::Agent, "Ada"));
    let conversation = fixture.conversation(&chat.id).await;
    assert_eq!((conversation.assignee.unwrap().id, conversation.epoch), (ADA.to_string(), 2));
    let changed = fixture.service.appended::<AssigneeChanged>().await.pop().unwrap();
    assert_eq!((changed.epoch, changed.cause()), (2, AssignmentCause::ByHand));
    assert_eq!(fixture.service.appended::<MessagePosted>().await.len(), 1);
}

async fn c12_a_repeat_gets_the_first_answer_and_other_content_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let request = message(&chat.id, "hello");
    let mut threads = fixture.threads(ADA);
    let first = threads.post_message(request.clone()).await.unwrap().into_inner();
    let again = threads.post_message(request.clone()).await.unwrap().into_inner();
    assert_eq!(first, again);
    let other = threads.post_message(PostMessageRequest { text: "other".into(), ..request }).await.unwrap_err();
    assert_eq!((other.code(), reason(&other).as_str()), (Code::FailedPrecondition, "REQUEST_ID_REUSED"));
    assert_eq!(fixture.entries(&chat.id).await.len(), 2);
}

async fn c12_twenty_repeats_at_once_post_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let request = message(&chat.id, "hello");
    let posted = twenty(|_| {
        let (mut threads, request) = (fixture.threads(ADA), request.clone());
        async move { threads.post_message(request).await.unwrap().into_inner().entry.unwrap().sequence }
    });
    assert_eq!(posted.await, [2; 20]);
    assert_eq!(fixture.service.appended::<MessagePosted>().await.len(), 1);
}

async fn c11_an_agents_message_in_a_bots_chat_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let refused = fixture.threads(ADA).post_message(message(&chat.id, "hello")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "BOT_IN_CHARGE"));
}

async fn c10_readers_of_the_thread_get_the_request_id_and_the_visitor_does_not(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let request = message(&chat.id, "hello");
    let posted = fixture.threads(ADA).post_message(request.clone()).await.unwrap().into_inner().entry.unwrap();
    let [joined, entry] = &fixture.entries(&chat.id).await[..] else { panic!() };
    assert_eq!((joined.request_id.as_str(), entry), ("", &posted));
    let seen = fixture.chat_entries("v", &chat.id).await.pop().unwrap();
    assert_eq!(
        [posted.request_id, seen.request_id],
        [request.request_id, String::new()],
        "an agent's stays in the team"
    );
}

async fn e3_a_message_after_the_close_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    crate::close_conversation::close(&fixture, &chat.id).await;
    let refused = fixture.threads(ADA).post_message(message(&chat.id, "late")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CONVERSATION_CLOSED"));
}

async fn an_agent_who_is_unknown_or_deactivated_posts_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    for agent in [GONE, new_id()] {
        for _ in 0..2 {
            let refused = fixture.threads(agent).post_message(message(&chat.id, "hello")).await.unwrap_err();
            assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "AGENT_NOT_ACTIVE"));
        }
    }
    assert!(fixture.entries(&chat.id).await.is_empty());
}

async fn the_roster_is_asked_once_about_an_unknown_agent(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let mut threads = fixture.threads(BOB);
    threads.post_message(message(&chat.id, "one")).await.unwrap();
    threads.post_message(message(&chat.id, "two")).await.unwrap();
    assert_eq!(fixture.service.fake.calls::<GetAgentRequest>(), 1);
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let mut threads = ThreadServiceClient::new(fixture.in_another_account().as_agent());
    let refused = threads.post_message(message(&chat.id, "hello")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
