//! The bus on NATS JetStream: a stream for each service's events, a durable pull consumer for each of ours.
//!
//! PostgreSQL is the truth and NATS is transport: what a stream lost is published again from the outbox.

mod consume;
mod hints;
mod message;
mod streams;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{
    Client, ConnectOptions, Event as Connection,
    connection::State,
    jetstream::{self, context::PublishAckFuture},
};
use frontdesk_db::Db;
use frontdesk_proto::event::v1::Event;
use futures::future::join_all;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::{hints::Shared, message::Names};
use crate::{BusError, BusSettings, Consumer, Hints, attempt::Subscription};

/// A replica that is gone has its deliveries given to another after so long; one that works says so before.
const ACK_WAIT: Duration = Duration::from_secs(5);
/// The broker answers within so long, or counts as gone.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// A connection that is silent for two of these counts as lost.
const PING_EVERY: Duration = Duration::from_secs(3);
/// Pauses between tries to connect grow to this.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// Publishes that are not acknowledged yet: more than one relay has at once.
const UNACKNOWLEDGED_AT_MOST: usize = 16_384;

/// See [`crate::Bus::jet_stream`].
#[derive(Clone)]
pub struct JetStream {
    client: Client,
    context: jetstream::Context,
    names: Names,
    settings: Arc<BusSettings>,
    subscriptions: Arc<Mutex<Vec<Arc<Subscription>>>>,
    hints: Arc<Mutex<Vec<Shared>>>,
    /// Woken when hints of a new name are asked for.
    hints_asked_for: Arc<Notify>,
    reconnected: watch::Sender<u64>,
}

impl JetStream {
    pub(crate) async fn connect(settings: BusSettings) -> Result<Self, BusError> {
        let reconnected = watch::Sender::new(0_u64);
        let options = options(&settings, reconnected.clone()).await?;
        let servers: Vec<&str> = settings.url.split(',').map(str::trim).collect();
        let client = options.connect(servers).await.map_err(|error| BusError::Settings(error.to_string()))?;
        let context = jetstream::context::ContextBuilder::new()
            .timeout(ANSWER_WITHIN)
            .ack_timeout(ANSWER_WITHIN)
            .max_ack_inflight(UNACKNOWLEDGED_AT_MOST)
            .build(client.clone());
        Ok(Self {
            client,
            context,
            names: Names(settings.prefix.clone()),
            settings: Arc::new(settings),
            subscriptions: Arc::default(),
            hints: Arc::default(),
            hints_asked_for: Arc::default(),
            reconnected,
        })
    }

    pub(crate) fn subscribe(&self, consumer: impl Consumer, dead_letters: Db) {
        let subscription = Subscription::new(consumer, dead_letters);
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).push(subscription);
    }

    fn subscriptions(&self) -> Vec<Arc<Subscription>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn reconnected(&self) -> watch::Receiver<u64> {
        self.reconnected.subscribe()
    }

    pub(crate) fn hints(&self, name: &'static str) -> Hints {
        let mut all = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = all.iter().find(|shared| shared.name == name) {
            return shared.hints.clone();
        }
        let shared = Shared::new(name);
        let hints = shared.hints.clone();
        all.push(shared);
        self.hints_asked_for.notify_one();
        hints
    }

    /// Hints that nobody shares yet.
    fn starting_hints(&self) -> Vec<hints::Starting> {
        let mut hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        hints.iter_mut().filter_map(Shared::start).collect()
    }

    /// Sends all, then waits for the acknowledgements; a connection that is lost meanwhile ends the wait.
    pub(crate) async fn publish(&self, events: &[Event]) -> Vec<Result<i64, BusError>> {
        let mut reconnected = self.reconnected.subscribe();
        let mut acknowledgements = Vec::with_capacity(events.len());
        for event in events {
            acknowledgements.push(self.send(self.names.subject(event), event, &event.id).await);
        }
        let all = join_all(acknowledgements.into_iter().map(|sent| async {
            let acknowledged = sent?.await.map_err(|error| BusError::Broker(error.to_string()))?;
            Ok(i64::try_from(acknowledged.sequence).unwrap_or(i64::MAX))
        }));
        tokio::select! {
            results = all => results,
            _ = reconnected.changed() => {
                events.iter().map(|_| Err(BusError::Broker("the connection was lost".into()))).collect()
            }
        }
    }

    async fn send(&self, subject: String, event: &Event, id: &str) -> Result<PublishAckFuture, BusError> {
        // The client would keep it until a server is there; the outbox does that better.
        if self.client.connection_state() != State::Connected {
            return Err(BusError::Broker("not connected".into()));
        }
        let sent = self.context.send_publish(subject, message::write(event, id)).await;
        sent.map_err(|error| BusError::Broker(error.to_string()))
    }

    pub(crate) async fn replay(&self, consumer: &str, event: &Event) -> Result<(), BusError> {
        let subject = self.names.replay(&event.source, &message::durable_name(consumer));
        // An id of its own: the broker must not take it for a repeat.
        let sent = self.send(subject, event, &Uuid::now_v7().to_string()).await?;
        sent.await.map(|_| ()).map_err(|error| BusError::Broker(error.to_string()))
    }

    pub(crate) async fn run(&self, shutdown: CancellationToken) {
        let mut loops = JoinSet::new();
        for subscription in self.subscriptions() {
            let (bus, shutdown) = (self.clone(), shutdown.clone());
            loops.spawn(async move { bus.consume(subscription, shutdown).await });
        }
        while !shutdown.is_cancelled() {
            for starting in self.starting_hints() {
                let (bus, shutdown) = (self.clone(), shutdown.clone());
                loops.spawn(async move { bus.share_hints(starting, shutdown).await });
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.hints_asked_for.notified() => {}
            }
        }
        while loops.join_next().await.is_some() {}
        // What was acknowledged last leaves before the process does.
        let _ = tokio::time::timeout(ANSWER_WITHIN, self.client.flush()).await;
    }
}

async fn options(settings: &BusSettings, reconnected: watch::Sender<u64>) -> Result<ConnectOptions, BusError> {
    if settings.url.contains('@') {
        return Err(BusError::Settings("url must hold no password: set username and password".into()));
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if settings.prefix.is_empty() || !settings.prefix.bytes().all(plain) {
        return Err(BusError::Settings("prefix must be of a-z 0-9 _ -, such as frontdesk".into()));
    }
    let mut options = ConnectOptions::new();
    if !settings.credentials_path.is_empty() {
        let path = &settings.credentials_path;
        let wrong = |error| BusError::Settings(format!("credentials_path {path}: {error}"));
        options = options.credentials_file(path).await.map_err(wrong)?;
    }
    if !settings.username.is_empty() {
        options = options.user_and_password(settings.username.clone(), settings.password.expose().to_owned());
    }
    if !settings.ca_path.is_empty() {
        options = options.add_root_certificates(settings.ca_path.clone().into()).require_tls(true);
    }
    Ok(options
        .name("frontdesk")
        .connection_timeout(CONNECT_WITHIN)
        .request_timeout(Some(ANSWER_WITHIN))
        .ping_interval(PING_EVERY)
        .retry_on_initial_connect()
        .reconnect_delay_callback(|tries| {
            // The first try is at once.
            let pause =
                Duration::from_millis(20) * u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX).min(1_000);
            pause.min(LONGEST_PAUSE)
        })
        .event_callback(move |event| {
            let reconnected = reconnected.clone();
            async move {
                match event {
                    Connection::Connected => {
                        tracing::info!("connected to the broker");
                        reconnected.send_modify(|times| *times += 1);
                    }
                    Connection::Disconnected => {
                        tracing::warn!("the connection to the broker was lost");
                        reconnected.send_modify(|times| *times += 1);
                    }
                    // Each try to connect, and the end of a normal stop.
                    Connection::ClientError(_) | Connection::Closed | Connection::Draining => {
                        tracing::debug!(%event, "the broker");
                    }
                    event => tracing::warn!(%event, "the broker"),
                }
            }
        }))
}
