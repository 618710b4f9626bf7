//! Typing and the visitor's marks, as watches show them: rules C7, C13, S3.

use std::time::Duration;

use frontdesk_proto::{
    actor::v1::ActorKind,
    conversation::v1::{
        ChatTyping, MarkChatReadRequest, MarkReadRequest, MarkUnreadRequest, PostCommentRequest, SendMessageRequest,
        TeamMarks, ThreadServiceSignalTypingRequest, Typing, VisitorMarks, VisitorServiceSignalTypingRequest,
        WatchChatRequest, WatchThreadRequest, watch_chat_response::Update as ChatUpdate, watch_thread_response::Update,
    },
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason, request_id};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use crate::{
    close_conversation::close,
    fixture::{ADA, BOB, Fixture, GONE, twenty},
};

on_both_modes!(
    c13_the_team_sees_who_types_and_the_visitor_sees_agents_who_write_to_them,
    c13_a_second_signal_within_two_seconds_and_one_in_a_closed_chat_have_no_effect,
    c13_the_team_sees_how_far_the_visitor_has_read,
    c13_the_visitors_marks_only_rise,
    c13_s3_the_visitor_sees_how_far_the_team_has_read_and_not_who,
    c13_the_mark_of_the_team_only_rises,
    c13_any_agent_of_the_team_raises_the_mark_that_the_visitor_sees,
    s3_another_visitors_chat_is_neither_marked_nor_signalled,
);

/// How long a test waits for what must not come.
const SILENCE: Duration = Duration::from_millis(500);

async fn next_update(stream: &mut Streaming<frontdesk_proto::conversation::v1::WatchThreadResponse>) -> Update {
    timeout(Duration::from_secs(20), stream.message()).await.unwrap().unwrap().unwrap().update.unwrap()
}

async fn next_chat_update(stream: &mut Streaming<frontdesk_proto::conversation::v1::WatchChatResponse>) -> ChatUpdate {
    timeout(Duration::from_secs(20), stream.message()).await.unwrap().unwrap().unwrap().update.unwrap()
}

/// A watch of the thread that is caught up, and the marks with which it began.
async fn watch_thread(
    fixture: &Fixture,
    id: &str,
) -> (Streaming<frontdesk_proto::conversation::v1::WatchThreadResponse>, VisitorMarks) {
    let request = WatchThreadRequest { conversation_id: id.into(), after_sequence: 0 };
    let mut stream = fixture.threads(ADA).watch_thread(request).await.unwrap().into_inner();
    loop {
        if let Update::VisitorMarks(marks) = next_update(&mut stream).await {
            return (stream, marks);
        }
    }
}

/// A watch of the chat after what it begins with.
async fn watch_chat(
    fixture: &Fixture,
    visitor: &str,
    id: &str,
) -> Streaming<frontdesk_proto::conversation::v1::WatchChatResponse> {
    let request = WatchChatRequest { chat_id: id.into(), after_visitor_sequence: 0 };
    let mut stream = fixture.chats(visitor).watch_chat(request).await.unwrap().into_inner();
    while !matches!(next_chat_update(&mut stream).await, ChatUpdate::TeamMarks(_)) {}
    stream
}

async fn agent_types(fixture: &Fixture, agent: uuid::Uuid, id: &str, comment: bool) -> Result<(), Status> {
    let request = ThreadServiceSignalTypingRequest { conversation_id: id.into(), comment };
    fixture.threads(agent).signal_typing(request).await.map(drop)
}

async fn visitor_types(fixture: &Fixture, visitor: &str, chat: &str) -> Result<(), Status> {
    let request = VisitorServiceSignalTypingRequest { chat_id: chat.into() };
    fixture.chats(visitor).signal_typing(request).await.map(drop)
}

async fn mark(fixture: &Fixture, visitor: &str, chat: &str, marks: (i32, i32)) -> Result<(), Status> {
    let (delivered_visitor_sequence, read_visitor_sequence) = marks;
    let request = MarkChatReadRequest { chat_id: chat.into(), delivered_visitor_sequence, read_visitor_sequence };
    fixture.chats(visitor).mark_chat_read(request).await.map(drop)
}

fn marks(delivered_visitor_sequence: i32, read_visitor_sequence: i32) -> VisitorMarks {
    VisitorMarks { delivered_visitor_sequence, read_visitor_sequence }
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

async fn c13_the_team_sees_who_types_and_the_visitor_sees_agents_who_write_to_them(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let (mut thread, before) = watch_thread(&fixture, &chat).await;
    assert_eq!(before, marks(0, 0));
    let mut visitor = watch_chat(&fixture, "v", &chat).await;

    visitor_types(&fixture, "v", &chat).await.unwrap();
    let Update::Typing(Typing { author, comment }) = next_update(&mut thread).await else { panic!() };
    let author = author.unwrap();
    assert_eq!((author.kind(), author.id.as_str(), comment), (ActorKind::Visitor, "v", false));

    // A comment is for the team alone.
    agent_types(&fixture, BOB, &chat, true).await.unwrap();
    let Update::Typing(Typing { author, comment }) = next_update(&mut thread).await else { panic!() };
    let author = author.unwrap();
    assert_eq!(
        (author.kind(), author.id, author.name.as_str(), comment),
        (ActorKind::Agent, BOB.to_string(), "Bob", true)
    );
    agent_types(&fixture, ADA, &chat, false).await.unwrap();
    let ChatUpdate::Typing(ChatTyping { author }) = next_chat_update(&mut visitor).await else { panic!() };
    let author = author.unwrap();
    assert_eq!((author.kind(), author.name.as_str()), (ActorKind::Agent, "Ada"));
    assert!(!author.id.contains(&ADA.to_string()), "the visitor does not learn the agent's id");

    // Nothing is stored, and a watch that begins later gets none of it.
    assert_eq!(fixture.entries(&chat).await, []);
    let (mut later, _) = watch_thread(&fixture, &chat).await;
    assert!(timeout(SILENCE, later.message()).await.is_err());
    let gone = agent_types(&fixture, GONE, &chat, false).await.unwrap_err();
    assert_eq!((gone.code(), reason(&gone).as_str()), (Code::FailedPrecondition, "AGENT_NOT_ACTIVE"));
}

async fn c13_a_second_signal_within_two_seconds_and_one_in_a_closed_chat_have_no_effect(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let (mut thread, _) = watch_thread(&fixture, &chat).await;
    for _ in 0..5 {
        visitor_types(&fixture, "v", &chat).await.unwrap();
    }
    assert!(matches!(next_update(&mut thread).await, Update::Typing(_)));
    assert!(timeout(SILENCE, thread.message()).await.is_err(), "one of five");
    close(&fixture, &chat).await;
    assert!(matches!(next_update(&mut thread).await, Update::Entry(_)));
    agent_types(&fixture, ADA, &chat, false).await.unwrap();
    assert!(timeout(SILENCE, thread.message()).await.is_err());
}

async fn c13_the_team_sees_how_far_the_visitor_has_read(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    say(&fixture, "v", &chat).await;
    fixture.post(&chat, "hello").await;
    let (mut thread, before) = watch_thread(&fixture, &chat).await;
    assert_eq!(before, marks(0, 0));
    mark(&fixture, "v", &chat, (3, 0)).await.unwrap();
    assert_eq!(next_update(&mut thread).await, Update::VisitorMarks(marks(3, 0)));
    mark(&fixture, "v", &chat, (0, 2)).await.unwrap();
    assert_eq!(next_update(&mut thread).await, Update::VisitorMarks(marks(3, 2)));
    let (_, begun) = watch_thread(&fixture, &chat).await;
    assert_eq!(begun, marks(3, 2), "a watch begins with the marks");
    let beyond = mark(&fixture, "v", &chat, (4, 0)).await.unwrap_err();
    assert_eq!((beyond.code(), reason(&beyond).as_str()), (Code::OutOfRange, "CURSOR_OUT_OF_RANGE"));
}

async fn c13_the_visitors_marks_only_rise(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    for _ in 0..20 {
        say(&fixture, "v", &chat).await;
    }
    twenty(async |number| {
        let number = i32::try_from(number).unwrap() + 1;
        mark(&fixture, "v", &chat, (number, number / 2)).await.unwrap();
    })
    .await;
    let (mut thread, begun) = watch_thread(&fixture, &chat).await;
    assert_eq!(begun, marks(20, 10));
    for lower in [(5, 3), (0, 0), (20, 10)] {
        mark(&fixture, "v", &chat, lower).await.unwrap();
    }
    assert!(timeout(SILENCE, thread.message()).await.is_err(), "nothing changed");
    mark(&fixture, "v", &chat, (1, 20)).await.unwrap();
    assert_eq!(next_update(&mut thread).await, Update::VisitorMarks(marks(20, 20)));
}

async fn team_reads(fixture: &Fixture, agent: uuid::Uuid, id: &str, sequence: i32) {
    let request = MarkReadRequest { conversation_id: id.into(), sequence };
    fixture.threads(agent).mark_read(request).await.unwrap();
}

/// A watch of the chat, and the mark of the team with which it began.
async fn watch_chat_from_mark(
    fixture: &Fixture,
    visitor: &str,
    id: &str,
) -> (Streaming<frontdesk_proto::conversation::v1::WatchChatResponse>, i32) {
    let request = WatchChatRequest { chat_id: id.into(), after_visitor_sequence: 0 };
    let mut stream = fixture.chats(visitor).watch_chat(request).await.unwrap().into_inner();
    loop {
        if let ChatUpdate::TeamMarks(marks) = next_chat_update(&mut stream).await {
            return (stream, marks.read_visitor_sequence);
        }
    }
}

async fn c13_s3_the_visitor_sees_how_far_the_team_has_read_and_not_who(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    for _ in 0..3 {
        say(&fixture, "v", &chat).await;
    }
    // Sequence 4, which the visitor does not see.
    let comment = PostCommentRequest {
        conversation_id: chat.clone(),
        text: "who is this?".into(),
        request_id: request_id(),
        ..PostCommentRequest::default()
    };
    fixture.threads(ADA).post_comment(comment).await.unwrap();
    let (mut visitor, begun) = watch_chat_from_mark(&fixture, "v", &chat).await;
    assert_eq!(begun, 0);
    team_reads(&fixture, ADA, &chat, 2).await;
    let team_marks = |read_visitor_sequence| ChatUpdate::TeamMarks(TeamMarks { read_visitor_sequence });
    assert_eq!(next_chat_update(&mut visitor).await, team_marks(2));
    team_reads(&fixture, BOB, &chat, 4).await;
    assert_eq!(next_chat_update(&mut visitor).await, team_marks(3), "by visitor sequence");
    let (_, later) = watch_chat_from_mark(&fixture, "v", &chat).await;
    assert_eq!(later, 3, "a watch begins with the mark");
    mark(&fixture, "v", &chat, (3, 3)).await.unwrap();
    let (_, later) = watch_chat_from_mark(&fixture, "v", &chat).await;
    assert_eq!(later, 3, "the visitor's own marks are others");
    let (_, of_visitor) = watch_thread(&fixture, &chat).await;
    assert_eq!(of_visitor, marks(3, 3));
}

async fn c13_the_mark_of_the_team_only_rises(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    for _ in 0..20 {
        say(&fixture, "v", &chat).await;
    }
    twenty(async |number| team_reads(&fixture, ADA, &chat, i32::try_from(number).unwrap() + 1).await).await;
    let (mut visitor, begun) = watch_chat_from_mark(&fixture, "v", &chat).await;
    assert_eq!(begun, 20);
    team_reads(&fixture, BOB, &chat, 7).await;
    let unread = MarkUnreadRequest { conversation_id: chat.clone(), sequence: 1 };
    fixture.threads(ADA).mark_unread(unread).await.unwrap();
    team_reads(&fixture, ADA, &chat, 20).await;
    assert!(timeout(SILENCE, visitor.message()).await.is_err(), "nothing changed");
    let (_, later) = watch_chat_from_mark(&fixture, "v", &chat).await;
    assert_eq!(later, 20);
}

async fn c13_any_agent_of_the_team_raises_the_mark_that_the_visitor_sees(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    say(&fixture, "v", &chat).await;
    // The assignee writes, and marks nothing.
    fixture.post(&chat, "hello").await;
    say(&fixture, "v", &chat).await;
    let (mut visitor, begun) = watch_chat_from_mark(&fixture, "v", &chat).await;
    assert_eq!(begun, 0);
    let last = fixture.entries(&chat).await.last().unwrap().sequence;
    let read_visitor_sequence = fixture.chat_entries("v", &chat).await.last().unwrap().visitor_sequence;
    team_reads(&fixture, BOB, &chat, last).await;
    let expected = ChatUpdate::TeamMarks(TeamMarks { read_visitor_sequence });
    assert_eq!(next_chat_update(&mut visitor).await, expected, "Bob is not the assignee");
    team_reads(&fixture, ADA, &chat, last).await;
    assert!(timeout(SILENCE, visitor.message()).await.is_err(), "the assignee reads what was read");
}

async fn s3_another_visitors_chat_is_neither_marked_nor_signalled(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    say(&fixture, "v", &chat).await;
    for id in [chat, new_id().to_string()] {
        let typing = visitor_types(&fixture, "w", &id).await.unwrap_err();
        let marked = mark(&fixture, "w", &id, (1, 1)).await.unwrap_err();
        for refused in [typing, marked] {
            assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
        }
    }
    let unknown = agent_types(&fixture, ADA, &new_id().to_string(), false).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}
