//! A reader in an account of its own reads and acknowledges the events of its consumer, and can reach nothing else.

use std::{sync::Mutex, time::Duration};

use async_nats::jetstream::{Message, consumer::PullConsumer};
use frontdesk_tests::{wait_for, wait_until};
use futures::TryStreamExt;

use super::{OPERATOR, READER, STREAM, User, add_reader, broker, play_chat, suite};

async fn consumer(reader: &User) -> PullConsumer {
    reader.shared_jet_stream().get_consumer_from_stream(READER, STREAM).await.unwrap()
}

/// The events that wait for the consumer, at most 100, without waiting for more than a second.
async fn pull(consumer: &PullConsumer) -> Vec<Message> {
    let batch = consumer.batch().max_messages(100).expires(Duration::from_secs(1)).messages().await.unwrap();
    batch.try_collect().await.unwrap()
}

fn header(message: &Message, name: &str) -> String {
    message.headers.as_ref().and_then(|headers| headers.get(name)).map(ToString::to_string).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_a_reader_gets_the_events_of_its_account_and_acknowledges_them() {
    let nats = broker().await;
    let suite = suite(&nats).await;
    let operator = User::connect(&nats, OPERATOR).await;
    let (ours, theirs) = (suite.account().await, suite.account().await);
    add_reader(&operator, &ours).await;
    for account in [&theirs, &ours] {
        let (_, agent) = account.agent("Ada").await;
        let channel = account.channel(Some(&account.bot().await)).await;
        play_chat(account, &agent, &channel, "v").await;
    }

    let reader = User::connect(&nats, READER).await;
    let consumer = consumer(&reader).await;
    let types = Mutex::new(Vec::new());
    let is_read = |name: &str| types.lock().unwrap().contains(&format!("frontdesk.event.v1.{name}"));
    wait_until("the close", || async {
        for message in pull(&consumer).await {
            assert_eq!(header(&message, "ce-accountid"), ours.id.to_string());
            assert_eq!(header(&message, "ce-source"), "/frontdesk/conversation");
            types.lock().unwrap().push(header(&message, "ce-type"));
            message.ack().await.unwrap();
        }
        is_read("ConversationClosed")
    })
    .await;
    assert!(is_read("ConversationStarted"), "{types:?}");
    let stream = operator.jet_stream().get_stream(STREAM).await.unwrap();
    wait_until("the acknowledgements", || async {
        for message in pull(&consumer).await {
            message.ack().await.unwrap();
        }
        let info = stream.consumer_info(READER).await.unwrap();
        info.num_ack_pending == 0 && info.num_pending == 0
    })
    .await;
    assert!(reader.refusals.lock().unwrap().is_empty(), "{:?}", reader.refusals);
}

/// The broker sends what a request asks for to the subject that it names as its reply, and checks nothing there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_the_replies_to_a_readers_requests_stay_in_its_account() {
    const INJECTED: &str = "frontdesk.v1.assignment.AgentDeactivated.account.1";
    let nats = broker().await;
    let suite = suite(&nats).await;
    let operator = User::connect(&nats, OPERATOR).await;
    let account = suite.account().await;
    add_reader(&operator, &account).await;
    account.channel(None).await;
    let stream = operator.jet_stream().get_stream(STREAM).await.unwrap();
    wait_until("an event", || async { stream.consumer_info(READER).await.unwrap().num_pending == 1 }).await;

    let reader = User::connect(&nats, READER).await;
    let next = format!("$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{READER}");
    let assignment = operator.jet_stream().get_stream("FRONTDESK_ASSIGNMENT").await.unwrap();
    // The first answer is the event; the following are empty, as the request that deletes a stream is.
    let replies = [INJECTED, "$JS.API.STREAM.DELETE.FRONTDESK_ASSIGNMENT", "$JS.API.STREAM.PURGE.FRONTDESK_ASSIGNMENT"];
    for reply in replies {
        reader.client.publish_with_reply(next.clone(), reply, r#"{"batch":1,"no_wait":true}"#.into()).await.unwrap();
    }
    // It comes again after its acknowledgement is due, so the requests before were handled.
    let consumer = consumer(&reader).await;
    let event = wait_for("the event", || async { pull(&consumer).await.pop() }).await;
    assert_eq!(header(&event, "ce-type"), "frontdesk.event.v1.ChannelCreated");
    assert!(assignment.get_last_raw_message_by_subject(INJECTED).await.is_err(), "an event was injected");
    let found = operator.jet_stream().get_stream("FRONTDESK_ASSIGNMENT").await.unwrap();
    assert_eq!(found.cached_info().created, assignment.cached_info().created, "the stream was deleted");
}
