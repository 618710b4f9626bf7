//! A durable pull consumer on the stream of each service, with the events of one account, as an operator creates it for a reader. The reader
//! acknowledges each event when it has noted it.

use std::time::Duration;

use async_nats::{
    ConnectOptions,
    jetstream::{
        self, Message,
        consumer::{PullConsumer, pull},
    },
};
use futures::StreamExt;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::Notes;
use crate::cluster::{Cluster, Failure, Service};

/// Name of the consumers.
const NAME: &str = "reader";
/// How long the broker waits for an acknowledgement before it delivers the event again.
const ACK_WAIT: Duration = Duration::from_secs(2);
/// Maximum number of events of one request.
const BATCH: usize = 100;
/// How long a request waits for events at the broker.
const BATCH_EXPIRES: Duration = Duration::from_secs(1);
/// How long the reader waits for an event before it makes another request: longer than the broker, whose answer may be lost.
const REQUEST_LOST_AFTER: Duration = Duration::from_secs(2);
/// Pause before the next attempt to reach the broker.
const PAUSE: Duration = Duration::from_millis(100);

struct Consumer {
    context: jetstream::Context,
    stream: String,
    notes: Notes,
}

/// Name of the stream of a service.
fn stream(service: Service) -> String {
    format!("FRONTDESK_{}", service.setting())
}

/// The JetStream of the broker, for the operator.
async fn jet_stream(cluster: &Cluster) -> Result<jetstream::Context, Failure> {
    Ok(jetstream::new(async_nats::connect(cluster.nats.url()).await?))
}

/// Creates the consumers.
pub(super) async fn create(cluster: &Cluster, account: Uuid) -> Result<(), Failure> {
    let context = jet_stream(cluster).await?;
    for service in Service::ALL {
        let config = pull::Config {
            durable_name: Some(NAME.into()),
            filter_subject: format!("frontdesk.v1.{}.*.{account}.*", service.name()),
            ack_wait: ACK_WAIT,
            ..Default::default()
        };
        context.create_consumer_on_stream(config, stream(service)).await?;
    }
    Ok(())
}

/// Deletes the consumers.
pub(super) async fn delete(cluster: &Cluster) -> Result<(), Failure> {
    let context = jet_stream(cluster).await?;
    for service in Service::ALL {
        context.delete_consumer_from_stream(NAME, stream(service)).await?;
    }
    Ok(())
}

/// Reads the events of the consumers from the broker at this port.
pub(super) async fn start(port: u16, notes: &Notes) -> Result<Vec<AbortOnDropHandle<()>>, Failure> {
    let options = ConnectOptions::new().reconnect_delay_callback(|_| PAUSE);
    let context = jetstream::new(options.connect(format!("nats://127.0.0.1:{port}")).await?);
    let start = |service| {
        let consumer = Consumer { context: context.clone(), stream: stream(service), notes: notes.clone() };
        AbortOnDropHandle::new(tokio::spawn(consumer.run()))
    };
    Ok(Service::ALL.map(start).into())
}

impl Consumer {
    async fn run(self) {
        loop {
            // The broker is killed, and the connection to it cut.
            let _ = self.read().await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads events until an error.
    async fn read(&self) -> Result<(), Failure> {
        let consumer: PullConsumer = self.context.get_consumer_from_stream(NAME, &self.stream).await?;
        loop {
            let mut batch = consumer.batch().max_messages(BATCH).expires(BATCH_EXPIRES).messages().await?;
            while let Ok(Some(message)) = tokio::time::timeout(REQUEST_LOST_AFTER, batch.next()).await {
                let message = message?;
                let place = message.info().map_err(|error| error.to_string())?.stream_sequence;
                self.notes.receive_at(place, &header(&message, "ce-id"), &header(&message, "ce-accountid"));
                message.ack().await?;
            }
        }
    }
}

fn header(message: &Message, name: &str) -> String {
    message.headers.as_ref().and_then(|headers| headers.get(name)).map(ToString::to_string).unwrap_or_default()
}
