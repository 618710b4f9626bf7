//! Rate limits and stream permits.

use std::time::Duration;

use frontdesk_proto::conversation::v1::{
    GetChatRequest, WatchChatRequest, visitor_service_client::VisitorServiceClient,
};
use frontdesk_tests::{Chat, Mode, TestSuite, reason, wait_for};
use tonic::Code;
use tonic_types::StatusExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_a_rate_limited_caller_gets_a_retry_delay_and_others_are_served() {
    let suite = TestSuite::start_on(Mode::Embedded, |settings| settings.limits.visitor_rate = 2).await;
    let account = suite.account().await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("busy"), &channel).await;
    let ask = async |visitor| {
        VisitorServiceClient::new(visitor).get_chat(GetChatRequest { chat_id: chat.id.clone() }).await.map(drop)
    };
    let mut refused = None;
    for _ in 0..20 {
        if let Err(status) = ask(account.visitor("busy")).await {
            refused = Some(status);
            break;
        }
    }
    let refused = refused.expect("a limit");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    assert_eq!(refused.get_details_error_info().unwrap().metadata["whose"], "caller");
    let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(wait > Duration::ZERO && wait <= Duration::from_millis(500), "{wait:?}");
    assert_eq!(ask(account.visitor("other")).await.unwrap_err().code(), Code::NotFound, "others are served");
    // After the retry delay the caller is served.
    tokio::time::sleep(wait + Duration::from_millis(20)).await;
    ask(account.visitor("busy")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_open_streams_are_limited_and_an_ended_one_frees_a_permit() {
    let suite = TestSuite::start_on(Mode::Embedded, |settings| {
        settings.limits.streams = 3;
        settings.limits.account_share = 100;
        settings.limits.visitor_streams = 2;
    })
    .await;
    let account = suite.account().await;
    let channel = account.channel(None).await;
    let (one, two) = (
        account.start_chat(account.visitor("one"), &channel).await,
        account.start_chat(account.visitor("two"), &channel).await,
    );
    let watch = async |chat: &Chat| {
        let request = WatchChatRequest { chat_id: chat.id.clone(), after_visitor_sequence: 0 };
        VisitorServiceClient::new(chat.visitor.clone()).watch_chat(request).await.map(tonic::Response::into_inner)
    };
    let (_first, second) = (watch(&one).await.unwrap(), watch(&one).await.unwrap());
    let greedy = watch(&one).await.unwrap_err();
    assert_eq!((greedy.code(), reason(&greedy).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    let _third = watch(&two).await.unwrap();
    let full = watch(&two).await.unwrap_err();
    assert_eq!((full.code(), reason(&full).as_str()), (Code::ResourceExhausted, "OVERLOADED"));
    assert!(greedy.get_details_retry_info().is_some() && full.get_details_retry_info().is_some());
    drop(second);
    wait_for("a free permit", || async { watch(&one).await.ok() }).await;
}
