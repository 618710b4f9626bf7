//! What callers of one connection, or of one process, can take from each other.

use std::{net::SocketAddr, time::Duration};

use frontdesk_auth::CallerKind;
use frontdesk_proto::conversation::v1::{CreateChannelRequest, channel_service_client::ChannelServiceClient};
use frontdesk_tests::new_id;
use tonic::Code;

use crate::{
    ALONE,
    http2::{Connection, Frames, block},
    resource_exhaustion,
    target::Target,
};

/// How long the server may take to react.
const REACTION_TIMEOUT: Duration = Duration::from_secs(5);
const LIST: &str = "/frontdesk.conversation.v1.ChannelService/ListChannels";
const START: &str = "/frontdesk.conversation.v1.VisitorService/StartChat";

/// Invalid tokens on a connection that a gateway shares among its clients end none of their calls; a connection that carries
/// nothing else is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_invalid_tokens_on_a_shared_connection_leave_a_valid_watch_open() {
    let _alone = ALONE.lock().await;
    let target = Target::start(&[("FRONTDESK__LIMITS__INVALID_TOKEN_RATE", "10")]).await;
    let account = target.account().await;
    let channel = account.channel(None).await;
    let thread = account.start_chat(account.visitor("talker"), &channel).await.id;
    let (to, bearer) = (target.process.listen, target.bearer(account.id));
    let call =
        |stream: u32, bearer: &str| Frames::default().call(stream, &block(LIST, &[("authorization", bearer)]), &[]);
    let tries = (1..100).fold(Frames::default(), |frames, number| {
        Frames([frames.0, call(2 * number + 1, "Bearer invalid").0].concat())
    });

    let mut shared = resource_exhaustion::open_watch(to, &bearer, &thread).await;
    shared.send(&tries).await.unwrap();
    let refused = shared.until(|received| received.ended.len() == 99, REACTION_TIMEOUT).await;
    assert!(refused, "{:?}", shared.received());
    shared.send(&call(201, &bearer)).await.unwrap();
    assert!(shared.until(|received| received.with_message.contains(&201), REACTION_TIMEOUT).await, "a valid call");
    let received = shared.received();
    assert!(!received.ended.contains(&1) && received.closed.is_none(), "the watch is ended: {received:?}");

    let mut hostile = Connection::with_preface(to, Frames::preface()).await.unwrap();
    hostile.send(&tries).await.unwrap();
    assert!(hostile.closed(REACTION_TIMEOUT).await.is_some(), "a connection without a valid token is open");
}

/// One visitor announces more large requests than a process takes at a time, and completes none: those of others arrive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_one_visitors_large_requests_refuse_no_other_caller() {
    let _alone = ALONE.lock().await;
    let target = Target::start(&[("FRONTDESK__LIMITS__VISITOR_RATE", "0")]).await;
    let (attacked, other) = (target.account().await, target.account().await);
    let bearer = target.bearer_of(attacked.id, CallerKind::Visitor, "flooder");
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(begin_large_requests(target.process.listen, &bearer).await);
    }
    // Time for the process to read them.
    tokio::time::sleep(Duration::from_millis(200)).await;
    for account in [&attacked, &other] {
        let name = "x".repeat(100_000);
        let request = CreateChannelRequest { request_id: new_id().to_string(), name, ..Default::default() };
        let answer = ChannelServiceClient::new(account.admin()).create_channel(request).await.unwrap_err();
        assert_eq!(answer.code(), Code::InvalidArgument, "{answer:?}");
    }
    drop(held);
}

/// A connection with five requests that announce 1 MiB and of which nothing more arrives.
async fn begin_large_requests(to: SocketAddr, bearer: &str) -> Connection {
    let start = block(START, &[("authorization", bearer)]);
    let mut connection = Connection::with_preface(to, Frames::preface()).await.unwrap();
    for stream in (0..5).map(|number| 2 * number + 1) {
        let frames = Frames::default().head(stream, &start).data(stream, &[0, 0, 0x10, 0, 0]);
        connection.send(&frames).await.unwrap();
    }
    connection
}
