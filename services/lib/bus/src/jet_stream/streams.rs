//! Streams and durable consumers: what they are made of, making them, checking them.

use async_nats::jetstream::{
    ErrorCode,
    consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
    context::{CreateStreamError, CreateStreamErrorKind},
    stream::{Config, DiscardPolicy, RetentionPolicy, Stream},
};

use super::{
    ACK_WAIT, JetStream,
    message::{self, Names},
};
use crate::{BusError, StreamState, attempt::Subscription};

/// Deliveries of one consumer that are not acknowledged yet, at all replicas together.
const UNACKNOWLEDGED_AT_MOST: i64 = 1_000;

impl JetStream {
    /// The stream of a service's events, made if it is not there and we are to make it.
    pub(super) async fn stream(&self, source: &str) -> Result<Stream, BusError> {
        let name = self.names.stream(source);
        let found = if self.settings.manage_streams {
            self.context.get_or_create_stream(self.stream_config(source)).await.map_err(explain)
        } else {
            self.context.get_stream(&name).await.map_err(|error| error.to_string())
        };
        found.map_err(|error| BusError::Broker(format!("the stream {name}: {error}")))
    }

    fn stream_config(&self, source: &str) -> Config {
        Config {
            name: self.names.stream(source),
            description: Some(format!("Events of Frontdesk's {source} service")),
            subjects: vec![self.names.subjects_of(source)],
            retention: RetentionPolicy::Limits,
            // The outbox has what falls out of the stream.
            discard: DiscardPolicy::Old,
            max_age: self.settings.stream_max_age,
            max_bytes: self.settings.stream_max_bytes,
            num_replicas: self.settings.stream_replicas,
            ..Config::default()
        }
    }

    /// The durable consumer of a subscription, made if it is not there and we are to make it.
    pub(super) async fn durable(&self, subscription: &Subscription) -> Result<PullConsumer, BusError> {
        let stream = self.stream(subscription.consumer.source()).await?;
        let name = message::durable_name(subscription.name());
        let found = if self.settings.manage_streams {
            let config = consumer_config(&self.names, subscription);
            stream.create_consumer(config).await.map_err(|error| error.to_string())
        } else {
            stream.get_consumer(&name).await.map_err(|error| error.to_string())
        };
        found.map_err(|error| BusError::Broker(format!("the consumer {name}: {error}")))
    }

    /// Where the stream stands, also of one that was made just now.
    pub(crate) async fn stream_state(&self, source: &str) -> Result<StreamState, BusError> {
        let stream = self.stream(source).await?;
        let info = stream.get_info().await.map_err(|error| BusError::Broker(error.to_string()))?;
        let created_at = info.created.unix_timestamp_nanos() / 1_000;
        Ok(StreamState {
            created_at: frontdesk_clock::Time(i64::try_from(created_at).unwrap_or(0)),
            last_sequence: i64::try_from(info.state.last_sequence).unwrap_or(i64::MAX),
        })
    }

    /// Makes or checks the streams of these services, and the consumers of every subscription.
    pub(crate) async fn prepare(&self, sources: &[&str]) -> Result<(), BusError> {
        for source in sources {
            let stream = self.stream(source).await?;
            if self.settings.manage_streams {
                // One that was there takes the settings as they are now.
                let updated = self.context.update_stream(self.stream_config(source)).await;
                updated
                    .map_err(|error| BusError::Broker(format!("the stream {}: {error}", self.names.stream(source))))?;
            } else {
                check(&stream.cached_info().config, &self.names.subjects_of(source))?;
            }
        }
        for subscription in self.subscriptions() {
            self.durable(&subscription).await?;
        }
        Ok(())
    }
}

/// What the broker says, and what to do about it where one would have to guess.
fn explain(error: CreateStreamError) -> String {
    match error.kind() {
        CreateStreamErrorKind::JetStream(broker) if broker.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED => {
            format!(
                "{broker}; it sets bus.stream_max_bytes aside for each of four streams: lower that, or raise the server's max_file_store"
            )
        }
        _ => error.to_string(),
    }
}

/// An operator's stream must take our subjects.
fn check(config: &Config, subjects: &str) -> Result<(), BusError> {
    if config.subjects.iter().any(|subject| subject == subjects) {
        return Ok(());
    }
    Err(BusError::Broker(format!("the stream {} must have the subject {subjects}", config.name)))
}

fn consumer_config(names: &Names, subscription: &Subscription) -> pull::Config {
    let (source, durable) = (subscription.consumer.source(), message::durable_name(subscription.name()));
    let types = subscription.types.iter().map(|event_type| names.subjects_of_type(source, event_type));
    pull::Config {
        durable_name: Some(durable.clone()),
        description: Some(format!("Frontdesk's {}", subscription.name())),
        filter_subjects: types.chain([names.replay(source, &durable)]).collect(),
        // A stream that was lost is published anew, and then everything in it counts.
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        // We count ourselves, and keep a dead letter before we give up.
        max_deliver: -1,
        max_ack_pending: UNACKNOWLEDGED_AT_MOST,
        ..pull::Config::default()
    }
}
