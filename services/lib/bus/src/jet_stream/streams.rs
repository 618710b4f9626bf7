//! Streams and durable consumers: their configuration, creating them, checking them.

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

/// Maximum number of deliveries of one consumer that are not acknowledged yet, at all replicas together.
const MAX_UNACKNOWLEDGED: i64 = 1_000;

impl JetStream {
    /// The stream of a service's events; created when it does not exist and the settings allow it.
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
            // The outbox still has the events that the stream discards.
            discard: DiscardPolicy::Old,
            max_age: self.settings.stream_max_age,
            max_bytes: self.settings.stream_max_bytes,
            num_replicas: self.settings.stream_replicas,
            ..Config::default()
        }
    }

    /// The durable consumer of a subscription; created when it does not exist and the settings allow it.
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

    /// The state of the stream, which is created first when it does not exist.
    pub(crate) async fn stream_state(&self, source: &str) -> Result<StreamState, BusError> {
        let stream = self.stream(source).await?;
        let info = stream.get_info().await.map_err(|error| BusError::Broker(error.to_string()))?;
        let created_at = info.created.unix_timestamp_nanos() / 1_000;
        Ok(StreamState {
            created_at: frontdesk_clock::Time(i64::try_from(created_at).unwrap_or(0)),
            last_sequence: i64::try_from(info.state.last_sequence).unwrap_or(i64::MAX),
        })
    }

    /// Creates or checks the streams of these services and the consumers of every subscription.
    pub(crate) async fn prepare(&self, sources: &[&str]) -> Result<(), BusError> {
        for source in sources {
            let stream = self.stream(source).await?;
            if self.settings.manage_streams {
                // A stream that exists already gets the current settings.
                let updated = self.context.update_stream(self.stream_config(source)).await;
                updated
                    .map_err(|error| BusError::Broker(format!("the stream {}: {error}", self.names.stream(source))))?;
            } else {
                check_subjects(&stream.cached_info().config, &self.names.subjects_of(source))?;
            }
        }
        for subscription in self.subscriptions() {
            self.durable(&subscription).await?;
        }
        Ok(())
    }
}

/// The broker's error, with the remedy where the error does not suggest it.
fn explain(error: CreateStreamError) -> String {
    match error.kind() {
        CreateStreamErrorKind::JetStream(broker) if broker.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED => {
            format!(
                "{broker}; it reserves bus.stream_max_bytes for each of four streams: lower that, or raise the server's max_file_store"
            )
        }
        _ => error.to_string(),
    }
}

/// Checks that a stream of the operator's has the subjects of the events.
fn check_subjects(config: &Config, subjects: &str) -> Result<(), BusError> {
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
        // A stream that was lost is published again, and then every event in it must be delivered.
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        // The attempts are counted here, and the last one stores a dead letter.
        max_deliver: -1,
        max_ack_pending: MAX_UNACKNOWLEDGED,
        ..pull::Config::default()
    }
}
