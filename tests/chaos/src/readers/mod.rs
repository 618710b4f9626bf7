//! Readers of the public events of an account, as customers have them: a durable consumer at the broker, a subscriber of the four event services,
//! and a receiver of webhooks that wants events in order. Each notes what it receives. On demand their connections are cut, acknowledgements are
//! lost, and the receiver is down, answers errors or does not answer.

mod consumer;
mod endpoint;
mod notes;
mod receiver;
mod subscriber;

pub use endpoint::{create_endpoint, delete_endpoint};
pub use receiver::{Answer, Receiver};

use std::time::{Duration, Instant};

use frontdesk_auth::CallerKind;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

use crate::{
    cluster::{Cluster, Failure, Service},
    driver::{Caller, Driver},
    faults::FaultLog,
    final_state::{Event, Reader},
    proxy::{Protocol, Proxy},
};
use notes::Notes;

/// How far the clock is advanced after the endpoint was created. The order of an aggregate is promised to an endpoint that is older, by more than
/// the difference between the clocks of two services that is allowed for: one minute.
const ENDPOINT_AGE: Duration = Duration::from_secs(120);
/// Share of the consumer's acknowledgements that are lost during that fault, in thousandths.
const LOST_ACKS: u32 = 500;
/// Interval between two looks at what the readers have received.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// A fault of readers.
#[derive(Clone, Copy, Debug)]
enum ReaderFault {
    ReceiverDown,
    ReceiverAnswersErrors,
    ReceiverHangs,
    SubscriberCut,
    ConsumerCut,
    AcksLost,
}

impl ReaderFault {
    const ALL: [Self; 6] = [
        Self::ReceiverDown,
        Self::ReceiverAnswersErrors,
        Self::ReceiverHangs,
        Self::SubscriberCut,
        Self::ConsumerCut,
        Self::AcksLost,
    ];

    /// Its name and its target in the log of faults.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::ReceiverDown => ("down", "receiver"),
            Self::ReceiverAnswersErrors => ("answers-errors", "receiver"),
            Self::ReceiverHangs => ("hang", "receiver"),
            Self::SubscriberCut => ("cut", "subscriber"),
            Self::ConsumerCut => ("cut", "consumer"),
            Self::AcksLost => ("drop-acks", "consumer"),
        }
    }
}

/// The readers of one account.
pub struct Readers {
    driver: Driver,
    admin: Caller,
    receiver: Receiver,
    endpoint: String,
    /// Proxies between the subscriber and each replica.
    to_replicas: Vec<Proxy>,
    /// Proxy between the consumer and the broker.
    to_broker: Proxy,
    notes: [Notes; 3],
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Readers {
    /// Starts the readers of an account, and advances the installation's clock.
    pub async fn start(cluster: &Cluster, driver: &Driver, account: Uuid, seed: u64) -> Result<Self, Failure> {
        let admin = driver.caller(account, CallerKind::Admin, "administrator", |_| {});
        let receiver = Receiver::start(Answer::Confirms, seed).await?;
        let (endpoint, secret) = create_endpoint(driver, &admin, &receiver.url(), true).await?;
        let since = driver.advance(&admin, ENDPOINT_AGE).await.ok_or("AdvanceTime was not acknowledged")?;
        let clock = cluster.clock()?;
        let notes = [("nats", 0), ("grpc", 0), ("webhook", since)]
            .map(|(name, since)| Notes::new(name, &account.to_string(), since, &clock));
        let [consumer_notes, subscriber_notes, receiver_notes] = notes.clone();
        receiver.verify(&secret, receiver_notes)?;

        let mut tasks = Vec::new();
        let mut to_replicas = Vec::new();
        for service in Service::ALL {
            let mut ports = Vec::new();
            for replica in cluster.replicas_of(service) {
                let proxy = Proxy::start(replica.port, Protocol::Opaque, seed).await?;
                ports.push(proxy.port);
                to_replicas.push(proxy);
            }
            tasks.push(subscriber::start(service, &ports, &admin, &subscriber_notes)?);
        }
        consumer::create(cluster, account).await?;
        let to_broker = Proxy::start(cluster.nats.port, Protocol::Nats, seed).await?;
        tasks.extend(consumer::start(to_broker.port, &consumer_notes).await?);
        let driver = driver.clone();
        Ok(Self { driver, admin, receiver, endpoint, to_replicas, to_broker, notes, _tasks: tasks })
    }

    /// Injects faults, one after the other, each kind once in each round, until `done`: at least one round.
    pub async fn fail(&self, seed: u64, log: &FaultLog, done: &CancellationToken) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut faults = ReaderFault::ALL;
        loop {
            faults.shuffle(&mut random);
            for fault in faults {
                tokio::time::sleep(Duration::from_millis(random.random_range(200..1_500))).await;
                let (name, target) = fault.names();
                let number = log.start(name, target);
                self.inject(fault);
                tokio::time::sleep(Duration::from_millis(random.random_range(200..2_000))).await;
                self.heal();
                log.end(number);
            }
            if done.is_cancelled() {
                return;
            }
        }
    }

    fn inject(&self, fault: ReaderFault) {
        match fault {
            ReaderFault::ReceiverDown => self.receiver.refuse_connections(),
            ReaderFault::ReceiverAnswersErrors => self.receiver.set_answer(Answer::Fails),
            ReaderFault::ReceiverHangs => self.receiver.set_answer(Answer::Never),
            ReaderFault::SubscriberCut => self.to_replicas.iter().for_each(Proxy::reset_connections),
            ReaderFault::ConsumerCut => self.to_broker.reset_connections(),
            ReaderFault::AcksLost => self.to_broker.drop_acks(LOST_ACKS),
        }
    }

    fn heal(&self) {
        self.receiver.heal();
        self.to_broker.heal();
    }

    /// Number of acknowledgements of the consumer that were lost.
    pub fn lost_acks(&self) -> u64 {
        self.to_broker.protocol_faults()
    }

    /// Waits, for at most `timeout`, until each reader has received all of these events that are for it. Returns what they have received.
    pub async fn finish(&self, events: &[Event], timeout: Duration) -> Vec<Reader> {
        let until = Instant::now() + timeout;
        while Instant::now() < until && !self.notes.iter().all(|notes| notes.are_complete(events)) {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.notes.iter().map(Notes::reader).collect()
    }

    /// Ends the readers, and removes the consumers of the broker and the endpoint.
    pub async fn remove(self, cluster: &Cluster) -> Result<(), Failure> {
        consumer::delete(cluster).await?;
        delete_endpoint(&self.driver, &self.admin, &self.endpoint).await
    }
}
