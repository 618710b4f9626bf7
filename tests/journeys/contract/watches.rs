//! Watches: the existing entries, the mark after them, new entries with the request ids of their senders, and heartbeats.

use std::time::{Duration, Instant};

use frontdesk_proto::conversation::v1::{
    PostCommentRequest, PostMessageRequest, SendMessageRequest, StartChatRequest, WatchChatRequest, WatchChatResponse,
    WatchThreadRequest, WatchThreadResponse, thread_service_client::ThreadServiceClient,
    visitor_service_client::VisitorServiceClient, watch_chat_response, watch_thread_response,
};
use frontdesk_tests::{As, TestSuite, request_id};
use tonic::Streaming;

/// An update without its content: the sequence and the request id of an entry.
#[derive(Clone, Debug, PartialEq)]
enum Update {
    Entry(i32, String),
    CaughtUp,
    Heartbeat,
}

enum Watch {
    Thread(Streaming<WatchThreadResponse>),
    Chat(Streaming<WatchChatResponse>),
}

impl Watch {
    async fn thread(agent: &As, chat: &str, after_sequence: i32) -> Self {
        let request = WatchThreadRequest { conversation_id: chat.into(), after_sequence };
        Self::Thread(ThreadServiceClient::new(agent.clone()).watch_thread(request).await.unwrap().into_inner())
    }

    async fn chat(visitor: &As, chat: &str, after_visitor_sequence: i32) -> Self {
        let request = WatchChatRequest { chat_id: chat.into(), after_visitor_sequence };
        Self::Chat(VisitorServiceClient::new(visitor.clone()).watch_chat(request).await.unwrap().into_inner())
    }

    /// The next update of those that both watches have.
    async fn next(&mut self) -> Update {
        loop {
            match self {
                Self::Thread(stream) => match stream.message().await.unwrap().unwrap().update.unwrap() {
                    watch_thread_response::Update::Entry(entry) => {
                        return Update::Entry(entry.sequence, entry.request_id);
                    }
                    watch_thread_response::Update::CaughtUp(_) => return Update::CaughtUp,
                    watch_thread_response::Update::Heartbeat(_) => return Update::Heartbeat,
                    watch_thread_response::Update::Typing(_) | watch_thread_response::Update::VisitorMarks(_) => {}
                },
                Self::Chat(stream) => match stream.message().await.unwrap().unwrap().update.unwrap() {
                    watch_chat_response::Update::Entry(entry) => {
                        return Update::Entry(entry.visitor_sequence, entry.request_id);
                    }
                    watch_chat_response::Update::CaughtUp(_) => return Update::CaughtUp,
                    watch_chat_response::Update::Heartbeat(_) => return Update::Heartbeat,
                    watch_chat_response::Update::Typing(_)
                    | watch_chat_response::Update::QueuePlace(_)
                    | watch_chat_response::Update::State(_)
                    | watch_chat_response::Update::TeamMarks(_) => {}
                },
            }
        }
    }

    async fn take(&mut self, count: usize) -> Vec<Update> {
        let mut updates = Vec::new();
        for _ in 0..count {
            let update = tokio::time::timeout(Duration::from_secs(10), self.next());
            updates.push(update.await.unwrap_or_else(|_| panic!("{count} updates, after {updates:?}")));
        }
        updates
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c10_a_watch_says_once_that_it_has_caught_up_and_sends_heartbeats_in_silence() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let visitor = account.visitor("v");
    let ids: Vec<String> = (0..6).map(|_| request_id()).collect();
    let start = StartChatRequest {
        channel_id: channel,
        page_url: "https://shop.example/".into(),
        text: "hello".into(),
        request_id: ids[0].clone(),
        ..Default::default()
    };
    let mut chats = VisitorServiceClient::new(visitor.clone());
    let chat = chats.start_chat(start).await.unwrap().into_inner().chat.unwrap().id;
    let say = |id: &str| SendMessageRequest {
        chat_id: chat.clone(),
        text: "here".into(),
        request_id: id.into(),
        ..Default::default()
    };
    chats.send_message(say(&ids[1])).await.unwrap();
    let mut threads = ThreadServiceClient::new(agent.clone());
    let conversation_id = chat.clone();
    let comment = PostCommentRequest {
        conversation_id,
        text: "internal".into(),
        request_id: ids[2].clone(),
        ..Default::default()
    };
    threads.post_comment(comment).await.unwrap();

    let mut watches = [
        Watch::thread(&agent, &chat, 0).await,
        Watch::thread(&agent, &chat, 2).await,
        Watch::thread(&agent, &chat, 3).await,
        Watch::chat(&visitor, &chat, 0).await,
        Watch::chat(&visitor, &chat, 1).await,
        Watch::chat(&visitor, &chat, 2).await,
    ];
    let entry = |sequence: i32, id: usize| Update::Entry(sequence, ids[id].clone());
    let existing = [
        vec![entry(1, 0), entry(2, 1), entry(3, 2), Update::CaughtUp],
        vec![entry(3, 2), Update::CaughtUp],
        vec![Update::CaughtUp],
        vec![entry(1, 0), entry(2, 1), Update::CaughtUp],
        vec![entry(2, 1), Update::CaughtUp],
        vec![Update::CaughtUp],
    ];
    for (watch, expected) in watches.iter_mut().zip(existing) {
        assert_eq!(watch.take(expected.len()).await, expected);
    }

    // New entries have the request ids of their senders, the team's only for the team; one without a call has none.
    let reply = PostMessageRequest {
        conversation_id: chat.clone(),
        text: "welcome".into(),
        request_id: ids[3].clone(),
        ..Default::default()
    };
    threads.post_message(reply).await.unwrap();
    chats.send_message(say(&ids[4])).await.unwrap();
    let none = |sequence: i32| Update::Entry(sequence, String::new());
    let quiet_since = Instant::now();
    for watch in &mut watches {
        let expected = match watch {
            Watch::Thread(_) => [none(4), entry(5, 3), entry(6, 4)],
            Watch::Chat(_) => [none(3), none(4), entry(5, 4)],
        };
        assert_eq!(watch.take(3).await, expected);
    }

    // After 20 seconds of silence, by the machine's clock, every watch gets a heartbeat and nothing else.
    let beats = watches.iter_mut().map(|watch| async {
        let next = tokio::time::timeout(Duration::from_secs(40), watch.next()).await.expect("a heartbeat");
        (next, quiet_since.elapsed())
    });
    for (update, after) in futures::future::join_all(beats).await {
        assert_eq!(update, Update::Heartbeat);
        assert!((18..30).contains(&after.as_secs()), "after {after:?}");
    }
    chats.send_message(say(&ids[5])).await.unwrap();
    for watch in &mut watches {
        let expected = if matches!(watch, Watch::Thread(_)) { entry(7, 5) } else { entry(6, 5) };
        assert_eq!(watch.take(1).await, [expected]);
    }
}
