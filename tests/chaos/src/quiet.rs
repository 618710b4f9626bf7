//! Healing and waiting until nothing moves any more: outboxes published, consumers at the end, deliveries settled.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures::TryStreamExt;
use sea_orm::DbErr;

use crate::{
    cluster::{Cluster, Failure, Service},
    driver::{Driver, Somebody},
    finals::Databases,
};

/// It must stay quiet for so long.
const QUIET_FOR: Duration = Duration::from_millis(1_500);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What still moves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moving {
    /// Events that were not published.
    pub unpublished: i64,
    /// Messages that a consumer of the broker has not done.
    pub undone: u64,
    /// Deliveries that go on.
    pub deliveries: i64,
}

/// Waits until nothing moves. An error tells what still did. `hurries`: moves the clock when deliveries wait for later.
pub async fn settle(
    cluster: &Cluster,
    databases: &Databases,
    driver: &Driver,
    hurries: Option<&Somebody>,
    patience: Duration,
) -> Result<Duration, Failure> {
    let began = Instant::now();
    let mut quiet_since: Option<Instant> = None;
    let mut hurried = Instant::now();
    loop {
        let moving = look(cluster, databases).await;
        match &moving {
            Ok(moving) if *moving == Moving::default() => {
                let since = *quiet_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= QUIET_FOR {
                    return Ok(began.elapsed());
                }
            }
            _ => quiet_since = None,
        }
        if began.elapsed() > patience {
            return Err(format!("it did not become quiet in {patience:?}: {moving:?}").into());
        }
        if let (Ok(Moving { unpublished: 0, deliveries: 1.., .. }), Some(who)) = (&moving, hurries)
            && hurried.elapsed() > Duration::from_secs(4)
        {
            driver.advance(who, Duration::from_secs(60)).await;
            hurried = Instant::now();
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(cluster: &Cluster, databases: &Databases) -> Result<Moving, Failure> {
    let mut moving = Moving { undone: undone(cluster).await?, ..Moving::default() };
    for service in Service::ALL {
        moving.unpublished += unpublished(databases, service).await?;
    }
    let going_on = "SELECT count(*) FROM deliveries WHERE state IN ('QUEUED', 'SENDING')";
    moving.deliveries = databases.number(Service::Notification, going_on).await?;
    Ok(moving)
}

/// Events that wait in a service's outbox.
pub async fn unpublished(databases: &Databases, service: Service) -> Result<i64, DbErr> {
    databases.number(service, "SELECT count(*) FROM outbox_events WHERE published_at IS NULL").await
}

/// Messages that consumers of the broker have not done.
async fn undone(cluster: &Cluster) -> Result<u64, Failure> {
    let client =
        async_nats::ConnectOptions::new().connection_timeout(Duration::from_secs(2)).connect(cluster.nats.url());
    let context = jetstream::new(client.await?);
    let mut undone = 0;
    let mut names = context.stream_names();
    while let Some(name) = names.try_next().await? {
        let stream = context.get_stream(&name).await?;
        let mut consumers = stream.consumers();
        while let Some(consumer) = consumers.try_next().await? {
            // What is not durable is somebody who only looks.
            if consumer.config.durable_name.is_none() {
                continue;
            }
            undone += consumer.num_pending + consumer.num_ack_pending as u64;
        }
    }
    Ok(undone)
}
