//! `MarkRead`, `MarkUnread`, and what the inbox shows of them: rules C9, C13.

use frontdesk_auth::CallerKind;
use frontdesk_proto::conversation::v1::{
    ListConversationsRequest, MarkReadRequest, MarkUnreadRequest, PostCommentRequest, ReadState, SendMessageRequest,
    conversation_service_client::ConversationServiceClient, thread_service_client::ThreadServiceClient,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason, request_id};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::fixture::{ADA, BOB, Fixture, GONE, twenty};

on_both_modes!(
    c13_what_others_wrote_after_the_mark_is_unread,
    c13_a_mark_only_rises_until_the_agent_marks_the_thread_unread,
    c13_twenty_marks_at_once_leave_the_highest,
    c13_an_entry_that_does_not_exist_or_a_deactivated_agent_marks_nothing,
    c9_c13_the_inbox_shows_and_filters_what_the_calling_agent_has_not_read,
    c9_the_inbox_is_limited_to_a_period,
    s2_another_accounts_conversation_does_not_exist,
);

async fn mark(fixture: &Fixture, agent: Uuid, conversation: &str, sequence: i32) -> Result<ReadState, Status> {
    let request = MarkReadRequest { conversation_id: conversation.into(), sequence };
    Ok(fixture.threads(agent).mark_read(request).await?.into_inner().state.unwrap())
}

async fn mark_unread(fixture: &Fixture, conversation: &str, sequence: i32) -> ReadState {
    let request = MarkUnreadRequest { conversation_id: conversation.into(), sequence };
    fixture.threads(ADA).mark_unread(request).await.unwrap().into_inner().state.unwrap()
}

fn state(read_sequence: i32, unread_count: i32) -> ReadState {
    ReadState { read_sequence, unread_count }
}

async fn say(fixture: &Fixture, visitor: &str, chat: &str) {
    let request = SendMessageRequest {
        chat_id: chat.into(),
        text: "hello".into(),
        request_id: request_id(),
        ..Default::default()
    };
    fixture.chats(visitor).send_message(request).await.unwrap();
}

async fn c13_what_others_wrote_after_the_mark_is_unread(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    say(&fixture, "v", &chat).await;
    say(&fixture, "v", &chat).await;
    // Ada becomes the assignee with an entry, and answers: 3 and 4. Bob comments: 5.
    fixture.post(&chat, "hello").await;
    let comment = PostCommentRequest {
        conversation_id: chat.clone(),
        text: "note".into(),
        request_id: request_id(),
        ..Default::default()
    };
    fixture.threads(BOB).post_comment(comment).await.unwrap();
    assert_eq!(mark(&fixture, ADA, &chat, 1).await.unwrap(), state(1, 2), "the second message and the comment");
    assert_eq!(mark(&fixture, BOB, &chat, 1).await.unwrap(), state(1, 2), "the second message and the answer");
    assert_eq!(mark(&fixture, ADA, &chat, 5).await.unwrap(), state(5, 0));
    say(&fixture, "v", &chat).await;
    assert_eq!(mark(&fixture, ADA, &chat, 5).await.unwrap(), state(5, 1));
    for _ in 0..105 {
        say(&fixture, "v", &chat).await;
    }
    assert_eq!(mark(&fixture, ADA, &chat, 5).await.unwrap(), state(5, 100), "at most 100 are counted");
}

async fn c13_a_mark_only_rises_until_the_agent_marks_the_thread_unread(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    for _ in 0..3 {
        say(&fixture, "v", &chat).await;
    }
    assert_eq!(mark(&fixture, ADA, &chat, 3).await.unwrap(), state(3, 0));
    assert_eq!(mark(&fixture, ADA, &chat, 2).await.unwrap(), state(3, 0), "a late call changes nothing");
    assert_eq!(mark_unread(&fixture, &chat, 2).await, state(1, 2));
    assert_eq!(mark_unread(&fixture, &chat, 3).await, state(1, 2), "what is unread stays so");
    assert_eq!(mark_unread(&fixture, &chat, 1).await, state(0, 3));
    assert_eq!(mark(&fixture, ADA, &chat, 3).await.unwrap(), state(3, 0));
    assert_eq!(mark(&fixture, BOB, &chat, 1).await.unwrap(), state(1, 2), "each agent has a mark of their own");
}

async fn c13_twenty_marks_at_once_leave_the_highest(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    for _ in 0..20 {
        say(&fixture, "v", &chat).await;
    }
    twenty(async |number| mark(&fixture, ADA, &chat, i32::try_from(number).unwrap() + 1).await.unwrap()).await;
    assert_eq!(mark(&fixture, ADA, &chat, 1).await.unwrap(), state(20, 0));
}

async fn c13_an_entry_that_does_not_exist_or_a_deactivated_agent_marks_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    say(&fixture, "v", &chat).await;
    let beyond = mark(&fixture, ADA, &chat, 2).await.unwrap_err();
    assert_eq!((beyond.code(), reason(&beyond).as_str()), (Code::OutOfRange, "CURSOR_OUT_OF_RANGE"));
    let nothing = mark(&fixture, ADA, &chat, 0).await.unwrap_err();
    assert!(nothing.code() == Code::InvalidArgument && nothing.message().contains("sequence"), "{nothing:?}");
    let gone = mark(&fixture, GONE, &chat, 1).await.unwrap_err();
    assert_eq!((gone.code(), reason(&gone).as_str()), (Code::FailedPrecondition, "AGENT_NOT_ACTIVE"));
    let unknown = mark(&fixture, ADA, &new_id().to_string(), 1).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let request = MarkReadRequest { conversation_id: chat, sequence: 1 };
    let mut admin = ThreadServiceClient::new(fixture.service.calls(fixture.account, CallerKind::Admin, "root"));
    assert_eq!(reason(&admin.mark_read(request).await.unwrap_err()), "NOT_PERMITTED");
}

async fn c9_c13_the_inbox_shows_and_filters_what_the_calling_agent_has_not_read(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (read, unread, silent) = (fixture.chat("a").await.id, fixture.chat("b").await.id, fixture.chat("c").await.id);
    let own = fixture.chat("d").await.id;
    for (visitor, chat) in [("a", &read), ("b", &unread)] {
        say(&fixture, visitor, chat).await;
    }
    fixture.post(&own, "I am here").await;
    mark(&fixture, ADA, &read, 1).await.unwrap();
    let list = async |agent: Uuid, unread: bool| {
        let request = ListConversationsRequest { unread, ..ListConversationsRequest::default() };
        let rows = fixture.conversations(agent).list_conversations(request).await.unwrap().into_inner().rows;
        let mut rows: Vec<_> =
            rows.into_iter().map(|row| (row.conversation.unwrap().id, row.read_state.unwrap())).collect();
        rows.sort_by_key(|(id, _)| id.clone());
        rows
    };
    let sorted = |mut rows: Vec<(&String, ReadState)>| {
        rows.sort_by_key(|(id, _)| (*id).clone());
        rows.into_iter().map(|(id, state)| (id.clone(), state)).collect::<Vec<_>>()
    };
    let all = vec![(&read, state(1, 0)), (&unread, state(0, 1)), (&silent, state(0, 0)), (&own, state(0, 0))];
    assert_eq!(list(ADA, false).await, sorted(all));
    assert_eq!(list(ADA, true).await, [(unread.clone(), state(0, 1))]);
    assert_eq!(list(BOB, true).await, sorted(vec![(&read, state(0, 1)), (&unread, state(0, 1)), (&own, state(0, 1))]));
    say(&fixture, "a", &read).await;
    assert_eq!(list(ADA, true).await, sorted(vec![(&read, state(1, 1)), (&unread, state(0, 1))]));
    mark_unread(&fixture, &read, 1).await;
    assert_eq!(list(ADA, true).await, sorted(vec![(&read, state(0, 2)), (&unread, state(0, 1))]));

    let admin = fixture.service.calls(fixture.account, CallerKind::Admin, "root");
    let mut admin = ConversationServiceClient::new(admin);
    let rows = admin.list_conversations(ListConversationsRequest::default()).await.unwrap().into_inner().rows;
    assert!(rows.iter().all(|row| row.read_state.is_none()));
    let request = ListConversationsRequest { unread: true, ..ListConversationsRequest::default() };
    let refused = admin.list_conversations(request).await.unwrap_err();
    assert!(refused.code() == Code::InvalidArgument && refused.message().contains("unread"), "{refused:?}");
}

async fn c9_the_inbox_is_limited_to_a_period(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (first, second) = (fixture.chat("a").await.id, fixture.chat("b").await.id);
    let time_of = async |chat: &str| fixture.conversation(chat).await.last_activity_time.unwrap();
    let (first_time, second_time) = (time_of(&first).await, time_of(&second).await);
    let list = async |since: Option<prost_types::Timestamp>, before: Option<prost_types::Timestamp>| {
        let request = ListConversationsRequest {
            active_since_time: since,
            active_before_time: before,
            ..ListConversationsRequest::default()
        };
        let rows = fixture.conversations(ADA).list_conversations(request).await.unwrap().into_inner().rows;
        rows.into_iter().map(|row| row.conversation.unwrap().id).collect::<Vec<_>>()
    };
    assert_eq!(list(Some(first_time), None).await, [second.clone(), first.clone()]);
    assert_eq!(list(Some(second_time), None).await, std::slice::from_ref(&second));
    assert_eq!(list(None, Some(second_time)).await, std::slice::from_ref(&first));
    assert_eq!(list(Some(first_time), Some(second_time)).await, [first]);
    let later = prost_types::Timestamp { seconds: second_time.seconds + 3_600, nanos: 0 };
    assert!(list(Some(later), None).await.is_empty());
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    say(&fixture, "v", &chat).await;
    let mut other = ThreadServiceClient::new(fixture.in_another_account().as_agent());
    let request = MarkReadRequest { conversation_id: chat, sequence: 1 };
    let refused = other.mark_read(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
