//! The bus on NATS JetStream: a stream for each service's events, a durable pull consumer for each [`Consumer`].
//!
//! PostgreSQL is the system of record and NATS is transport: events that a stream lost are published again from the outbox.

mod change_notifications;
mod consume;
mod inspection;
mod message;
mod room;
mod streams;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::{
    Client, ConnectOptions, Event as Connection,
    connection::State,
    jetstream::{self, context::PublishAckFuture},
};
use frontdesk_clock::Clock;
use frontdesk_db::Db;
use frontdesk_proto::event::v1::Event;
use frontdesk_telemetry::MeasuredGauge;
use futures::future::join_all;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    change_notifications::{Exchange, SharedNotifier},
    message::Names,
    room::Room,
};
use crate::{
    Acknowledged, BusError, BusSettings, attempt::Subscription, change_notifier::ChangeNotifier, consumer::Consumer,
    unhandled::unhandled_gauge,
};

/// How long the broker waits for an acknowledgement before it delivers the event again, to this replica or another. A running
/// handler extends it.
const ACK_WAIT: Duration = Duration::from_secs(5);
/// How long the broker may take to answer a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// How long connecting to the broker may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Interval between pings; a connection that leaves two of them unanswered counts as lost.
const PING_INTERVAL: Duration = Duration::from_secs(3);
/// Increase of the delay with each further attempt to connect.
const RECONNECT_DELAY_STEP: Duration = Duration::from_millis(20);
/// Longest delay between two attempts to connect.
const MAX_RECONNECT_DELAY: Duration = Duration::from_millis(250);
/// Maximum number of published events that are not acknowledged yet: more than the relays of one process publish at once.
const MAX_UNACKNOWLEDGED: usize = 16_384;

/// The bus on NATS JetStream, made by [`Bus::jet_stream`](crate::Bus::jet_stream).
#[derive(Clone)]
pub struct JetStream {
    client: Client,
    context: jetstream::Context,
    names: Names,
    settings: Arc<BusSettings>,
    subscriptions: Arc<Mutex<Vec<Arc<Subscription>>>>,
    notifiers: Arc<Mutex<Vec<SharedNotifier>>>,
    /// Notified when a notifier was added.
    notifier_added: Arc<Notify>,
    reconnected: watch::Sender<u64>,
    /// The last error that the broker sent, such as the subject that the user may not use; empty before the first.
    last_error: watch::Sender<String>,
    room: Arc<Mutex<Room>>,
    /// Shown by the replica that publishes the events of the stream: a former one shows its values no longer.
    unhandled: MeasuredGauge,
    clock: Clock,
}

/// What to do while the broker cannot be reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhileUnreachable {
    /// Connect in the background.
    Retry,
    /// Fail with the cause.
    Fail,
}

impl JetStream {
    pub(crate) async fn connect(
        settings: BusSettings,
        clock: Clock,
        unreachable: WhileUnreachable,
    ) -> Result<Self, BusError> {
        let (reconnected, last_error) = (watch::Sender::new(0_u64), watch::Sender::new(String::new()));
        let options = options(&settings, reconnected.clone(), last_error.clone()).await?;
        let options = match unreachable {
            WhileUnreachable::Retry => options.retry_on_initial_connect(),
            WhileUnreachable::Fail => options,
        };
        let servers: Vec<&str> = settings.url.split(',').map(str::trim).collect();
        let client = options.connect(servers).await.map_err(|error| BusError::Settings(error.to_string()))?;
        let context = jetstream::context::ContextBuilder::new()
            .timeout(REQUEST_TIMEOUT)
            .ack_timeout(REQUEST_TIMEOUT)
            .max_ack_inflight(MAX_UNACKNOWLEDGED)
            .build(client.clone());
        Ok(Self {
            client,
            context,
            names: Names(settings.prefix.clone()),
            settings: Arc::new(settings),
            subscriptions: Arc::default(),
            notifiers: Arc::default(),
            notifier_added: Arc::default(),
            reconnected,
            last_error,
            room: Arc::default(),
            unhandled: unhandled_gauge(),
            clock,
        })
    }

    pub(crate) fn subscribe(&self, consumer: impl Consumer, dead_letters: Db) {
        let subscription = Subscription::new(consumer, dead_letters);
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).push(subscription);
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscriptions(&self) -> Vec<Arc<Subscription>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn reconnected(&self) -> watch::Receiver<u64> {
        self.reconnected.subscribe()
    }

    pub(crate) fn change_notifier(&self, name: &str) -> ChangeNotifier {
        let mut notifiers = self.notifiers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = notifiers.iter().find(|shared| shared.name == name) {
            return shared.notifier.clone();
        }
        let shared = SharedNotifier::new(name);
        let notifier = shared.notifier.clone();
        notifiers.push(shared);
        self.notifier_added.notify_one();
        notifier
    }

    /// The notifiers whose loop has not started yet.
    fn new_exchanges(&self) -> Vec<Exchange> {
        let mut notifiers = self.notifiers.lock().unwrap_or_else(PoisonError::into_inner);
        notifiers.iter_mut().filter_map(SharedNotifier::start).collect()
    }

    /// Publishes the events for which there is room; see [`room`].
    pub(crate) async fn publish(&self, events: &[Event]) -> Vec<Result<Acknowledged, BusError>> {
        let Some(source) = events.first().map(|event| event.source.clone()) else { return Vec::new() };
        let mut reconnected = self.reconnected.subscribe();
        let (taken, refused) = tokio::select! {
            reserved = self.reserve(&source, events) => reserved,
            _ = reconnected.changed() => (0, Some(BusError::Broker("the connection was lost or is new".into()))),
        };
        let mut results = self.publish_all(&events[..taken]).await;
        let why = refused.map(|error| error.to_string()).unwrap_or_default();
        results.resize_with(events.len(), || Err(BusError::Broker(why.clone())));
        results
    }

    /// Sends all events, then waits for the acknowledgements; losing the connection ends the wait.
    async fn publish_all(&self, events: &[Event]) -> Vec<Result<Acknowledged, BusError>> {
        let mut reconnected = self.reconnected.subscribe();
        let mut acknowledgements = Vec::with_capacity(events.len());
        for event in events {
            acknowledgements.push(self.send(self.names.subject(event), event, &event.id).await);
        }
        let all = join_all(acknowledgements.into_iter().map(|sent| async {
            let acknowledged = sent?.await.map_err(|error| BusError::Broker(error.to_string()))?;
            Ok(Acknowledged {
                sequence: i64::try_from(acknowledged.sequence).unwrap_or(i64::MAX),
                is_duplicate: acknowledged.duplicate,
            })
        }));
        tokio::select! {
            results = all => results,
            _ = reconnected.changed() => {
                events.iter().map(|_| Err(BusError::Broker("the connection was lost".into()))).collect()
            }
        }
    }

    async fn send(&self, subject: String, event: &Event, id: &str) -> Result<PublishAckFuture, BusError> {
        // The client would queue the message until it is connected; the outbox does that better.
        if self.client.connection_state() != State::Connected {
            return Err(BusError::Broker("not connected".into()));
        }
        let sent = self.context.send_publish(subject, message::write(event, id)).await;
        sent.map_err(|error| BusError::Broker(error.to_string()))
    }

    pub(crate) async fn replay(&self, consumer: &str, event: &Event) -> Result<(), BusError> {
        self.require_room(&event.source, event).await?;
        let subject = self.names.replay(&event.source, &message::durable_name(consumer));
        // A new message id: the broker must not take it for a duplicate.
        let sent = self.send(subject, event, &self.clock.new_id().to_string()).await?;
        sent.await.map(|_| ()).map_err(|error| BusError::Broker(error.to_string()))
    }

    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let mut loops = JoinSet::new();
        self.notifiers.lock().unwrap_or_else(PoisonError::into_inner).iter_mut().for_each(SharedNotifier::reset);
        for subscription in self.subscriptions() {
            let (bus, shutdown) = (self.clone(), shutdown.clone());
            loops.spawn(async move { bus.consume(subscription, shutdown).await });
        }
        while !shutdown.is_cancelled() {
            for exchange in self.new_exchanges() {
                let (bus, shutdown) = (self.clone(), shutdown.clone());
                loops.spawn(async move { bus.exchange_notifications(exchange, shutdown).await });
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.notifier_added.notified() => {}
                Some(Err(error)) = loops.join_next() => crate::resume_panic(error),
            }
        }
        crate::ended(loops).await;
        // The last acknowledgements are sent before the process ends.
        let _ = tokio::time::timeout(REQUEST_TIMEOUT, self.client.flush()).await;
    }
}

/// Returns whether a server that is reached over a network may get the password without TLS. A credentials file only signs.
fn sends_password_unencrypted(settings: &BusSettings) -> bool {
    let is_open = |address: &str| {
        let (scheme, rest) = address.trim().split_once("://").unwrap_or(("nats", address.trim()));
        let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host).trim_matches(['[', ']']);
        let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        !matches!(scheme, "tls" | "wss") && !is_local
    };
    !settings.username.is_empty() && settings.ca_path.is_empty() && settings.url.split(',').any(is_open)
}

async fn options(
    settings: &BusSettings,
    reconnected: watch::Sender<u64>,
    last_error: watch::Sender<String>,
) -> Result<ConnectOptions, BusError> {
    if settings.url.contains('@') {
        return Err(BusError::Settings("url must not contain a password: set username and password".into()));
    }
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if settings.prefix.is_empty() || !settings.prefix.bytes().all(is_allowed) {
        return Err(BusError::Settings("prefix must consist of a-z 0-9 _ -, such as frontdesk".into()));
    }
    let is_allowed_in_subject = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if settings.inbox_prefix.is_empty() || !settings.inbox_prefix.bytes().all(is_allowed_in_subject) {
        return Err(BusError::Settings("inbox_prefix must consist of A-Z a-z 0-9 _ -, such as _INBOX".into()));
    }
    if sends_password_unencrypted(settings) {
        tracing::warn!(
            "the password for the broker is sent without TLS: set bus.ca_path, or begin the addresses of bus.url with tls://"
        );
    }
    let mut options = ConnectOptions::new();
    if !settings.credentials_path.is_empty() {
        let path = &settings.credentials_path;
        let unreadable = |error| BusError::Settings(format!("credentials_path {path}: {error}"));
        options = options.credentials_file(path).await.map_err(unreadable)?;
    }
    if !settings.username.is_empty() {
        options = options.user_and_password(settings.username.clone(), settings.password.expose().to_owned());
    }
    if !settings.ca_path.is_empty() {
        options = options.add_root_certificates(settings.ca_path.clone().into()).require_tls(true);
    }
    Ok(options
        .name("frontdesk")
        .custom_inbox_prefix(&settings.inbox_prefix)
        .connection_timeout(CONNECT_TIMEOUT)
        .request_timeout(Some(REQUEST_TIMEOUT))
        .ping_interval(PING_INTERVAL)
        .reconnect_delay_callback(|attempts| {
            // The first attempt is made without delay.
            let steps = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(1_000);
            (RECONNECT_DELAY_STEP * steps).min(MAX_RECONNECT_DELAY)
        })
        .event_callback(move |event| {
            let (reconnected, last_error) = (reconnected.clone(), last_error.clone());
            async move {
                match event {
                    Connection::Connected => {
                        tracing::info!("connected to the broker");
                        reconnected.send_modify(|changes| *changes += 1);
                    }
                    Connection::Disconnected => {
                        tracing::warn!("the connection to the broker was lost");
                        reconnected.send_modify(|changes| *changes += 1);
                    }
                    // Each attempt to connect, and the end of a normal shutdown.
                    Connection::ClientError(_) | Connection::Closed | Connection::Draining => {
                        tracing::debug!(%event, "the broker");
                    }
                    event => {
                        tracing::warn!(%event, "the broker");
                        if let Connection::ServerError(error) = event {
                            last_error.send_replace(error.to_string());
                        }
                    }
                }
            }
        }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_a_password_that_is_sent_without_tls_is_noticed() {
        let settings = |url: &str| BusSettings { url: url.into(), username: "u".into(), ..BusSettings::default() };
        for url in ["nats://nats:4222", "nats.example:4222", "10.0.0.1", "tls://a:4222, nats://b:4222"] {
            assert!(sends_password_unencrypted(&settings(url)), "{url}");
        }
        for url in ["tls://nats:4222", "wss://nats", "nats://localhost:4222", "127.0.0.1:4222", "nats://[::1]:4222"] {
            assert!(!sends_password_unencrypted(&settings(url)), "{url}");
        }
        let trusted = BusSettings { ca_path: "ca.pem".into(), ..settings("nats://nats:4222") };
        let without = BusSettings { username: String::new(), ..settings("nats://nats:4222") };
        assert!(!sends_password_unencrypted(&trusted) && !sends_password_unencrypted(&without));
    }

    #[tokio::test]
    async fn s2_a_prefix_of_inboxes_is_one_part_of_a_subject() {
        for refused in ["", "a.b", ">", "*", "a b"] {
            let settings = BusSettings { inbox_prefix: refused.into(), ..BusSettings::default() };
            let Err(error) = options(&settings, watch::Sender::new(0), watch::Sender::default()).await else {
                panic!("{settings:?} is accepted")
            };
            let error = error.to_string();
            assert!(error.contains("inbox_prefix must consist of"), "{refused}: {error}");
        }
        let settings = BusSettings { inbox_prefix: "_INBOX_bot-session".into(), ..BusSettings::default() };
        let options = options(&settings, watch::Sender::new(0), watch::Sender::default()).await.unwrap();
        assert!(format!("{options:?}").contains("_INBOX_bot-session"));
    }
}
