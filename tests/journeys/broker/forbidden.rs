//! What a user may not do at the broker is refused: each operation that exists, for each user, stream and consumer.

use super::{OPERATOR, READER, SERVICES, Stream, User, add_reader, broker, owner, streams, suite, users};

/// Requests on a stream that no service makes.
const ON_ANY_STREAM: [&str; 12] = [
    "STREAM.UPDATE",
    "STREAM.DELETE",
    "STREAM.PURGE",
    "STREAM.MSG.GET",
    "STREAM.MSG.DELETE",
    "STREAM.SNAPSHOT",
    "STREAM.RESTORE",
    "STREAM.LEADER.STEPDOWN",
    "STREAM.PEER.REMOVE",
    "DIRECT.GET",
    "CONSUMER.NAMES",
    // A consumer without a name.
    "CONSUMER.CREATE",
];
/// Requests on a consumer that no service makes.
const ON_ANY_CONSUMER: [&str; 5] =
    ["CONSUMER.DURABLE.CREATE", "CONSUMER.PAUSE", "CONSUMER.UNPIN", "CONSUMER.RESET", "CONSUMER.LEADER.STEPDOWN"];
/// Requests that concern no stream of Frontdesk's.
const ON_THE_BROKER: [&str; 7] = [
    "$JS.API.INFO",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.CREATE.MINE",
    "$JS.API.META.LEADER.STEPDOWN",
    "$JS.API.ACCOUNT.PURGE.FRONTDESK",
    "$JS.API.SERVER.REMOVE",
];
/// What is wider than any user may subscribe to.
const WIDE: [&str; 11] = [
    ">",
    "*.>",
    "frontdesk.>",
    "frontdesk.v1.>",
    "frontdesk.hints.>",
    "_INBOX.>",
    "$JS.>",
    "$JS.API.>",
    "$JS.ACK.>",
    "$JS.EVENT.>",
    "$SYS.>",
];

/// The requests on a stream that are forbidden to a user other than the operator.
fn requests_on(stream: &Stream, user: &str) -> Vec<String> {
    let (name, is_own) = (&stream.name, stream.service == user);
    let reads = user != READER && stream.consumers.iter().any(|consumer| owner(consumer) == user);
    let mut on_stream = ON_ANY_STREAM.to_vec();
    if !is_own {
        on_stream.extend(["STREAM.CREATE", "CONSUMER.LIST"]);
    }
    if !is_own && !reads {
        on_stream.push("STREAM.INFO");
    }
    let mut requests: Vec<String> = on_stream.iter().map(|request| format!("$JS.API.{request}.{name}")).collect();
    for consumer in stream.consumers.iter().map(String::as_str).chain(["spy"]) {
        let is_mine = owner(consumer) == user;
        let mut on_consumer = ON_ANY_CONSUMER.to_vec();
        if !is_mine {
            on_consumer.extend(["CONSUMER.INFO", "CONSUMER.MSG.NEXT"]);
        }
        if user == READER || !is_mine && !is_own {
            on_consumer.extend(["CONSUMER.CREATE", "CONSUMER.DELETE"]);
        }
        requests.extend(on_consumer.iter().map(|request| format!("$JS.API.{request}.{name}.{consumer}")));
    }
    if !is_own {
        requests.push(format!("$JS.API.CONSUMER.CREATE.{name}.spy.frontdesk.v1.>"));
    }
    requests
}

/// Acknowledgements of the events of others, in both forms that servers know.
fn acknowledgements_on(stream: &Stream, user: &str) -> Vec<String> {
    let others = stream.consumers.iter().filter(|consumer| owner(consumer) != user);
    let forms = |consumer: &String| {
        let ack = format!("{}.{consumer}.1.1.1.1.0", stream.name);
        [format!("$JS.ACK.{ack}"), format!("$JS.ACK._.hash.{ack}.random")]
    };
    others.flat_map(forms).collect()
}

/// The subjects that a user may not publish on.
fn forbidden_to_publish(user: &str, streams: &[Stream]) -> Vec<String> {
    let mut subjects = vec!["_INBOX.x".to_owned(), "frontdesk.v2.x".into(), "$SYS.REQ.SERVER.PING".into()];
    for service in SERVICES {
        subjects.push(format!("frontdesk.v1.{service}.MessagePosted"));
        if service != user {
            subjects.push(format!("frontdesk.v1.{service}.MessagePosted.account.1"));
            subjects.extend(hints_of(service));
        }
        if user != OPERATOR {
            subjects.push(format!("frontdesk.v1.{service}.replay.{user}_consumer"));
        }
    }
    subjects.extend(users().filter(|other| *other != user).map(|other| format!("_INBOX_{other}.x")));
    for stream in streams {
        subjects.extend(acknowledgements_on(stream, user));
        if user != OPERATOR {
            subjects.extend(requests_on(stream, user));
        }
    }
    if user != OPERATOR {
        subjects.extend(ON_THE_BROKER.map(str::to_owned));
    }
    subjects
}

/// The subjects of a service's change notifications and signals, and of those about its published events.
fn hints_of(service: &str) -> [String; 4] {
    ["", ".signals", "-events", "-events.signals"].map(|end| format!("frontdesk.hints.v1.{service}{end}"))
}

/// The subjects that a user may not subscribe to.
fn forbidden_to_subscribe(user: &str) -> Vec<String> {
    let mut subjects: Vec<String> = WIDE.map(str::to_owned).to_vec();
    for service in SERVICES {
        subjects.push(format!("frontdesk.v1.{service}.>"));
        if service != user {
            subjects.extend(hints_of(service));
        }
    }
    subjects.extend(users().filter(|other| *other != user).map(|other| format!("_INBOX_{other}.>")));
    subjects
}

/// What the streams have: the last number and the number of consumers of each.
async fn states(operator: &User) -> Vec<(String, u64, usize)> {
    let mut states = Vec::new();
    for stream in streams(operator).await {
        let info = operator.jet_stream().get_stream(&stream.name).await.unwrap().cached_info().clone();
        states.push((stream.name, info.state.last_sequence, info.state.consumer_count));
    }
    states
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_every_operation_that_is_not_a_users_own_is_refused_by_the_broker() {
    let nats = broker().await;
    let suite = suite(&nats).await;
    let operator = User::connect(&nats, OPERATOR).await;
    add_reader(&operator, &suite.account().await).await;
    let (streams, before) = (streams(&operator).await, states(&operator).await);
    let (mut refused, mut permitted) = (0, Vec::new());
    for user in users() {
        let connection = User::connect(&nats, user).await;
        for subject in forbidden_to_publish(user, &streams) {
            match connection.is_refused_to_publish(&subject).await {
                true => refused += 1,
                false => permitted.push(format!("{user} publishes on {subject}")),
            }
        }
        for subject in forbidden_to_subscribe(user) {
            match connection.is_refused_to_subscribe(&subject).await {
                true => refused += 1,
                false => permitted.push(format!("{user} subscribes to {subject}")),
            }
        }
    }
    println!("{refused} operations were refused");
    assert!(permitted.is_empty(), "{permitted:#?}");
    assert!(refused > 1_000, "{refused}");
    assert_eq!(states(&operator).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_the_broker_serves_no_connection_without_a_user_and_its_password() {
    let nats = broker().await;
    let as_user = |user: &str, password: &str| {
        async_nats::ConnectOptions::new().user_and_password(user.to_owned(), password.to_owned()).connect(nats.url())
    };
    assert!(async_nats::connect(nats.url()).await.is_err(), "without a user");
    for (user, password) in [("conversation", "wrong"), ("conversation", ""), ("stranger", "password-of-stranger")] {
        assert!(as_user(user, password).await.is_err(), "{user} with {password:?}");
    }
    assert!(as_user("conversation", &super::password("conversation")).await.is_ok());
}
