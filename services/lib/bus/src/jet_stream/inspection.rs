//! What the broker has, beside what Frontdesk creates there. It changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use async_nats::jetstream::{
    ErrorCode,
    context::{ConsumerInfoErrorKind, GetStreamErrorKind},
    stream::{Config, Stream},
};
use futures::future::join_all;

use super::{
    JetStream, message, sends_password_unencrypted,
    streams::{check_version, consumer_config, differences},
};
use crate::{
    attempt::Subscription,
    inspection::{BrokerInspection, BrokerObject, ObjectKind, ObjectState},
};

impl JetStream {
    /// Compares the streams of these services, and the consumers of every subscription with their streams, with what Frontdesk creates.
    pub(crate) async fn inspect(&self, sources: &[&str]) -> BrokerInspection {
        let subscriptions = self.subscriptions();
        let subscribed = subscriptions.iter().map(|subscription| subscription.consumer.source());
        let sources: BTreeSet<&str> = sources.iter().copied().chain(subscribed).collect();
        // At the same time: a user that may ask for none of them waits for the end of each request.
        let found = join_all(sources.iter().map(|source| self.find_stream(source))).await;
        let streams: BTreeMap<&str, Result<Option<Stream>, String>> = sources.into_iter().zip(found).collect();
        let consumers = subscriptions.iter().filter_map(|subscription| {
            let stream = streams.get(subscription.consumer.source())?.as_ref().ok()?.as_ref()?;
            Some(self.inspect_consumer(stream, subscription))
        });
        let consumers = join_all(consumers).await;
        let mut objects: Vec<BrokerObject> =
            streams.iter().map(|(source, found)| self.inspect_stream(source, found)).collect();
        objects.extend(consumers);
        let server = self.client.server_info();
        BrokerInspection {
            old_version: check_version(&server.version).err().map(|error| error.to_string()),
            version: server.version,
            has_jet_stream: server.jetstream,
            sends_password_unencrypted: sends_password_unencrypted(&self.settings),
            objects,
        }
    }

    fn inspect_stream(&self, source: &str, found: &Result<Option<Stream>, String>) -> BrokerObject {
        let state = match found {
            Ok(Some(stream)) => {
                ObjectState::of_differences(self.stream_differences(&stream.cached_info().config, source))
            }
            Ok(None) => ObjectState::Missing,
            Err(why) => ObjectState::Unknown(why.clone()),
        };
        BrokerObject { kind: ObjectKind::Stream, name: self.names.stream(source), state }
    }

    async fn inspect_consumer(&self, stream: &Stream, subscription: &Subscription) -> BrokerObject {
        let name = message::durable_name(subscription.name());
        let state = match stream.consumer_info(&name).await {
            Ok(info) => {
                let wanted = consumer_config(&self.names, subscription, None);
                ObjectState::of_differences(differences(&info.config, &wanted))
            }
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => ObjectState::Missing,
            Err(error) => ObjectState::Unknown(self.explain(&error)),
        };
        BrokerObject { kind: ObjectKind::Consumer, name, state }
    }

    /// The stream of a service's events. None: it does not exist.
    async fn find_stream(&self, source: &str) -> Result<Option<Stream>, String> {
        match self.context.get_stream(self.names.stream(source)).await {
            Ok(stream) => Ok(Some(stream)),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(broker) if broker.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
                _ => Err(self.explain(&error)),
            },
        }
    }

    /// The error of a request, with the last error that the broker sent: the refusal of a request comes apart, without an answer.
    fn explain(&self, error: &dyn Display) -> String {
        let last = self.last_error.borrow().clone();
        if last.is_empty() { error.to_string() } else { format!("{error}; the last error of the broker: {last}") }
    }

    /// What a stream has otherwise than the settings say; of one that the operator manages, only what Frontdesk relies on.
    fn stream_differences(&self, found: &Config, source: &str) -> Vec<String> {
        let wanted = self.stream_config(source);
        let missing = wanted.subjects.iter().filter(|subject| !found.subjects.contains(*subject));
        let mut differences: Vec<String> = missing.map(|subject| format!("it lacks the subject {subject}")).collect();
        let mut compare = |name: &str, found: String, wanted: String| {
            if found != wanted {
                differences.push(format!("{name} is {found}, not {wanted}"));
            }
        };
        compare("retention", format!("{:?}", found.retention), format!("{:?}", wanted.retention));
        compare("discard", format!("{:?}", found.discard), format!("{:?}", wanted.discard));
        if self.settings.manage_streams {
            compare("max_age", format!("{:?}", found.max_age), format!("{:?}", wanted.max_age));
            compare("max_bytes", found.max_bytes.to_string(), wanted.max_bytes.to_string());
            compare("num_replicas", found.num_replicas.to_string(), wanted.num_replicas.to_string());
        }
        differences
    }
}
