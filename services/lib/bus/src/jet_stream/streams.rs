//! Streams and durable consumers: their configuration, creating them, checking them.

use std::collections::BTreeSet;

use async_nats::jetstream::{
    ErrorCode,
    consumer::{self, AckPolicy, DeliverPolicy, FromConsumer, Info, PullConsumer, pull},
    context::{ConsumerInfoErrorKind, CreateStreamError, CreateStreamErrorKind},
    stream::{self, Config, ConsumerError, ConsumerErrorKind, DiscardPolicy, RetentionPolicy, Stream},
};
use futures::StreamExt;

use super::{
    ACK_WAIT, JetStream,
    message::{self, Names},
};
use crate::{BusError, StreamState, attempt::Subscription};

/// Maximum number of deliveries of one consumer that are not acknowledged yet, at all replicas together: none. Events that are to
/// be delivered again count among them until then, and a limit would stop the consumer while that many wait.
const MAX_UNACKNOWLEDGED: i64 = -1;

/// Oldest version of nats-server that is supported, major and minor number.
const MIN_VERSION: (u32, u32) = (2, 12);

impl JetStream {
    /// The stream of a service's events; created when it does not exist and the settings allow it.
    pub(super) async fn stream(&self, source: &str) -> Result<Stream, BusError> {
        check_version(&self.client.server_info().version)?;
        let name = self.names.stream(source);
        let found = if self.settings.manage_streams {
            self.context.get_or_create_stream(self.stream_config(source)).await.map_err(explain)
        } else {
            self.context.get_stream(&name).await.map_err(|error| error.to_string())
        };
        found.map_err(|error| BusError::Broker(format!("the stream {name}: {error}")))
    }

    pub(super) fn stream_config(&self, source: &str) -> Config {
        Config {
            name: self.names.stream(source),
            description: Some(format!("Events of Frontdesk's {source} service")),
            subjects: vec![self.names.subjects_of(source)],
            retention: RetentionPolicy::Limits,
            // Handled ones: `publish` refuses events that would take the place of unhandled ones.
            discard: DiscardPolicy::Old,
            max_age: self.settings.stream_max_age,
            max_bytes: self.settings.stream_max_bytes,
            num_replicas: self.settings.stream_replicas,
            ..Config::default()
        }
    }

    /// The durable consumer of a subscription; created when it does not exist and the settings allow it. One whose position is
    /// after the end of the stream is created anew: the stream came back shorter, and the numbers up to that position are given
    /// again, to events that this consumer would never receive.
    pub(super) async fn durable(&self, subscription: &Subscription) -> Result<PullConsumer, BusError> {
        let source = subscription.consumer.source();
        let name = message::durable_name(subscription.name());
        let failed = |error: String| BusError::Broker(format!("the consumer {name}: {error}"));
        let last_sequence = self.stream_info(source).await?.state.last_sequence;
        let stream = self.stream(source).await?;
        let found = match stream.consumer_info(&name).await {
            Ok(info) if position(&info) > last_sequence => {
                self.restart_consumer(&stream, &info, last_sequence).await?;
                stream.consumer_info(&name).await.ok().map(|info| info.config)
            }
            Ok(info) => Some(info.config),
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => None,
            Err(error) => return Err(failed(error.to_string())),
        };
        let wanted = consumer_config(&self.names, subscription, found.as_ref());
        if !self.settings.manage_streams || found.is_some_and(|found| differences(&found, &wanted).is_empty()) {
            return stream.get_consumer(&name).await.map_err(|error| failed(error.to_string()));
        }
        stream.create_consumer(wanted).await.map_err(|error| failed(error.to_string()))
    }

    /// Creates the consumers of a stream anew whose position is after `lost_after`.
    pub(crate) async fn restart_consumers(&self, source: &str, lost_after: i64) -> Result<(), BusError> {
        self.forget_room(source);
        let lost_after = u64::try_from(lost_after).unwrap_or(0);
        let stream = self.stream(source).await?;
        let mut consumers = stream.consumers();
        while let Some(info) = consumers.next().await {
            let info = info.map_err(|error| BusError::Broker(error.to_string()))?;
            if info.config.durable_name.is_some() && position(&info) > lost_after {
                self.restart_consumer(&stream, &info, lost_after).await?;
            }
        }
        Ok(())
    }

    /// Creates a consumer anew, at the first event after `lost_after` or the first that it has not handled; where the operator
    /// manages consumers, says so.
    async fn restart_consumer(&self, stream: &Stream, info: &Info, lost_after: u64) -> Result<(), BusError> {
        let (consumer, position) = (&info.name, position(info));
        if !self.settings.manage_streams {
            tracing::error!(
                consumer,
                position,
                lost_after,
                "the broker lost events that this consumer had received: delete the consumer and create it again"
            );
            return Ok(());
        }
        tracing::error!(
            consumer,
            position,
            lost_after,
            "the broker lost events that this consumer had received: it is created again"
        );
        let failed = |error: String| BusError::Broker(format!("the consumer {consumer}: {error}"));
        match stream.delete_consumer(consumer).await {
            Ok(_) => {}
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(failed(error.to_string())),
        }
        let start_sequence = info.ack_floor.stream_sequence.min(lost_after) + 1;
        let config = consumer::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
            ..info.config.clone()
        };
        let config = pull::Config::try_from_consumer_config(config);
        let config = config.map_err(|error| failed(error.to_string()))?;
        stream.create_consumer(config).await.map(|_| ()).map_err(|error| failed(error.to_string()))
    }

    pub(super) async fn stream_info(&self, source: &str) -> Result<stream::Info, BusError> {
        let stream = self.stream(source).await?;
        stream.get_info().await.map_err(|error| BusError::Broker(error.to_string()))
    }

    /// The state of the stream, which is created first when it does not exist. A relay asks for it when it begins to lead and when
    /// it may have missed something: what was known of the stream before does not hold.
    pub(crate) async fn stream_state(&self, source: &str) -> Result<StreamState, BusError> {
        self.forget_room(source);
        let info = self.stream_info(source).await?;
        self.report_backlog(source, &info).await?;
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

/// Checks the version of nats-server, such as `2.15.1`.
pub(super) fn check_version(version: &str) -> Result<(), BusError> {
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) < MIN_VERSION => {
            let (major, minor) = MIN_VERSION;
            Err(BusError::Broker(format!("nats-server {version} is too old: {major}.{minor} or later is needed")))
        }
        _ => Ok(()),
    }
}

/// The number of the last event in the stream that the consumer received.
fn position(consumer: &Info) -> u64 {
    consumer.delivered.stream_sequence.max(consumer.ack_floor.stream_sequence)
}

fn is_absent(error: &ConsumerError) -> bool {
    matches!(error.kind(), ConsumerErrorKind::JetStream(broker) if broker.error_code() == ErrorCode::CONSUMER_NOT_FOUND)
}

/// What a consumer has otherwise than a replica sets it, in words; empty: nothing.
pub(super) fn differences(found: &consumer::Config, wanted: &pull::Config) -> Vec<String> {
    let subjects = subjects(found);
    let missing = wanted.filter_subjects.iter().filter(|subject| !subjects.contains(*subject));
    let mut differences: Vec<String> = missing.map(|subject| format!("it lacks the subject {subject}")).collect();
    if found.max_ack_pending != wanted.max_ack_pending {
        differences.push(format!("max_ack_pending is {}, not {}", found.max_ack_pending, wanted.max_ack_pending));
    }
    if found.ack_wait != wanted.ack_wait {
        differences.push(format!("ack_wait is {:?}, not {:?}", found.ack_wait, wanted.ack_wait));
    }
    if found.max_deliver != wanted.max_deliver {
        differences.push(format!("max_deliver is {}, not {}", found.max_deliver, wanted.max_deliver));
    }
    differences
}

/// The subjects whose events a consumer receives. The broker stores a single one apart.
pub(super) fn subjects(config: &consumer::Config) -> BTreeSet<String> {
    let single = Some(config.filter_subject.clone()).filter(|subject| !subject.is_empty());
    config.filter_subjects.iter().cloned().chain(single).collect()
}

/// The configuration of a subscription's consumer. It keeps the subjects that were `found`: during a roll-out those of the newer
/// version, which an older replica must not remove.
pub(super) fn consumer_config(
    names: &Names,
    subscription: &Subscription,
    found: Option<&consumer::Config>,
) -> pull::Config {
    let (source, durable) = (subscription.consumer.source(), message::durable_name(subscription.name()));
    let types = subscription.types.iter().map(|event_type| names.subjects_of_type(source, event_type));
    let mut subjects = found.map(subjects).unwrap_or_default();
    subjects.extend(types.chain([names.replay(source, &durable)]));
    pull::Config {
        durable_name: Some(durable.clone()),
        description: Some(format!("Frontdesk's {}", subscription.name())),
        filter_subjects: subjects.into_iter().collect(),
        // A stream that was lost is published again, and then every event in it must be delivered.
        deliver_policy: found.map_or(DeliverPolicy::All, |found| found.deliver_policy),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        // The attempts are counted here, and the last one stores a dead letter.
        max_deliver: -1,
        max_ack_pending: MAX_UNACKNOWLEDGED,
        ..pull::Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_named_with_what_is_needed() {
        for version in ["2.11.9", "1.4.0"] {
            let error = check_version(version).unwrap_err().to_string();
            assert!(error.ends_with(&format!("nats-server {version} is too old: 2.12 or later is needed")), "{error}");
        }
        // Not connected yet: empty.
        for version in ["2.12.0", "2.12.0-preview.1", "2.15.1", "3.0.0", ""] {
            check_version(version).unwrap();
        }
    }
}
