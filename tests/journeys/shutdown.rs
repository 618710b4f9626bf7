//! Shutdown of a process.

use std::time::Duration;

use frontdesk_proto::conversation::v1::{WatchChatRequest, visitor_service_client::VisitorServiceClient};
use frontdesk_tests::{Account, Process, new_id, next_chat_entry, reason};
use tonic::Code;

#[tokio::test]
async fn a_shutdown_ends_open_streams_as_unavailable_and_exits_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), &[]).await;
    let account = Account::open(&process.address(), &process.keys(), new_id()).await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    chat.say("hello").await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..10 {
        let request = WatchChatRequest { chat_id: chat.id.clone(), after_visitor_sequence: 0 };
        let mut stream =
            VisitorServiceClient::new(chat.visitor.clone()).watch_chat(request).await.unwrap().into_inner();
        next_chat_entry(&mut stream).await.unwrap().unwrap();
        streams.push(stream);
    }
    let (took, clean) = process.terminate().await;
    assert!(clean && took < Duration::from_secs(10), "{took:?}");
    for mut stream in streams {
        let ended = next_chat_entry(&mut stream).await.unwrap_err();
        assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
    }
}
