//! Waits for quiescence: all outboxes published, all consumers at the end of their streams, all deliveries in a final state, all
//! attachments removed that are due, no place reserved for a conversation that waits, all waits published.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures::TryStreamExt;
use sea_orm::DbErr;

use crate::{
    cluster::{Cluster, Failure, Service},
    driver::{Caller, Driver},
    final_state::Databases,
};

/// How long nothing may be pending before the installation counts as quiescent.
const QUIESCENT_FOR: Duration = Duration::from_millis(1_500);
/// Interval between two looks at what is pending.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How long only deliveries may be pending before the clock is advanced towards their next attempt.
const ADVANCE_AFTER: Duration = Duration::from_secs(4);
/// How far the clock is advanced at a time.
const ADVANCE_BY: Duration = Duration::from_secs(60);

/// Number of things that are not finished yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Events in an outbox that were not published.
    pub unpublished: i64,
    /// Messages that a durable consumer of the broker has not received or not acknowledged.
    pub unprocessed: u64,
    /// Deliveries that are queued or being sent.
    pub deliveries: i64,
    /// Attachments that are due and not removed.
    pub due_attachments: i64,
    /// Places that are reserved for conversations that wait.
    pub reserved: i64,
    /// Waits that began or ended, which is not published.
    pub unpublished_waits: i64,
}

/// Waits until nothing is pending. With `admin`, advances the clock while deliveries wait for their next attempt. Fails after
/// `timeout`, with what was pending then.
pub async fn wait_until_quiescent(
    cluster: &Cluster,
    databases: &Databases,
    driver: &Driver,
    admin: Option<&Caller>,
    timeout: Duration,
) -> Result<Duration, Failure> {
    let began = Instant::now();
    let mut quiescent_since: Option<Instant> = None;
    let mut advanced_at = Instant::now();
    loop {
        let pending = pending(cluster, databases).await;
        match &pending {
            Ok(pending) if *pending == Pending::default() => {
                let since = *quiescent_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= QUIESCENT_FOR {
                    return Ok(began.elapsed());
                }
            }
            _ => quiescent_since = None,
        }
        if began.elapsed() > timeout {
            return Err(format!("not quiescent after {timeout:?}: {pending:?}").into());
        }
        if let (Ok(Pending { unpublished: 0, deliveries: 1.., .. }), Some(admin)) = (&pending, admin)
            && advanced_at.elapsed() > ADVANCE_AFTER
        {
            driver.advance(admin, ADVANCE_BY).await;
            advanced_at = Instant::now();
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Whether nothing is pending now.
pub async fn is_quiescent(cluster: &Cluster, databases: &Databases) -> Result<bool, Failure> {
    Ok(pending(cluster, databases).await? == Pending::default())
}

async fn pending(cluster: &Cluster, databases: &Databases) -> Result<Pending, Failure> {
    let mut pending = Pending { unprocessed: unprocessed(cluster).await?, ..Pending::default() };
    for service in Service::ALL {
        pending.unpublished += unpublished(databases, service).await?;
    }
    let unfinished = "SELECT count(*) FROM deliveries WHERE state IN ('QUEUED', 'SENDING')";
    pending.deliveries = databases.number(Service::Notification, unfinished).await?;
    let due = format!(
        "SELECT count(*) FROM attachments WHERE collect_at <= (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + {}",
        cluster.clock_offset()
    );
    pending.due_attachments = databases.number(Service::Conversation, &due).await?;
    let reserved = "SELECT count(*) FROM routing_queue WHERE state = 2";
    pending.reserved = databases.number(Service::Assignment, reserved).await?;
    let waits = "SELECT count(*) FROM routing_queue WHERE state = 4 OR (published IS NULL AND publish_at IS NOT NULL)";
    pending.unpublished_waits = databases.number(Service::Assignment, waits).await?;
    Ok(pending)
}

/// Number of events in a service's outbox that were not published.
async fn unpublished(databases: &Databases, service: Service) -> Result<i64, DbErr> {
    databases
        .number(service, "SELECT count(*) FROM outbox_events WHERE position > (SELECT settled_to FROM outbox_progress)")
        .await
}

/// Number of messages that durable consumers of the broker have not processed.
async fn unprocessed(cluster: &Cluster) -> Result<u64, Failure> {
    let client =
        async_nats::ConnectOptions::new().connection_timeout(Duration::from_secs(2)).connect(cluster.nats.url());
    let context = jetstream::new(client.await?);
    let mut unprocessed = 0;
    let mut names = context.stream_names();
    while let Some(name) = names.try_next().await? {
        let stream = context.get_stream(&name).await?;
        let mut consumers = stream.consumers();
        while let Some(consumer) = consumers.try_next().await? {
            // Ephemeral consumers only observe.
            if consumer.config.durable_name.is_none() {
                continue;
            }
            unprocessed += consumer.num_pending + consumer.num_ack_pending as u64;
        }
    }
    Ok(unprocessed)
}
