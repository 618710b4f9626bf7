//! R14: the broker or the database is killed and started again: how long until things work, once it is ready.

use std::time::{Duration, Instant};

use frontdesk_proto::conversation::v1::{
    ChatAuthorKind, WatchChatRequest, visitor_service_client::VisitorServiceClient,
};

use super::{Ending, Failure, Row, Stage, Verdict};
use crate::{
    cluster::Service,
    driver::{Driver, Somebody},
    workload::Shop,
};

const WITHIN: Duration = Duration::from_secs(2);
const AWAY: Duration = Duration::from_secs(3);

pub(super) async fn run(stage: &mut Stage) -> Result<(Row, Verdict), Failure> {
    let rounds = stage.size.pick(1, 4, 10);
    let (driver, shop) = (stage.driver.clone(), stage.shops[0].clone());
    let visitor = shop.visitor("steady", false);
    let chat = driver.start_chat(&visitor, &shop.with_nobody, "").await.ok().ok_or("no chat was started")?;
    let (mut after_postgres, mut after_nats) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Somebody talks all the time, so that every pool has broken connections.
        let number = stage.log.began("kill", "postgres");
        stage.cluster.postgres.kill().await;
        let talking = tokio::spawn(talk(driver.clone(), shop.clone(), visitor.clone(), chat.clone()));
        tokio::time::sleep(AWAY).await;
        stage.cluster.postgres.start_again().await;
        let ready = Instant::now();
        stage.log.healed(number);
        let first = talking.await?;
        after_postgres.push(first.saturating_duration_since(ready).as_secs_f64());

        let number = stage.log.began("kill", "nats");
        stage.cluster.nats.kill().await;
        let waiting = tokio::spawn(greeted(driver.clone(), shop.clone(), round));
        tokio::time::sleep(AWAY).await;
        stage.cluster.nats.start_again().await;
        let ready = Instant::now();
        stage.log.healed(number);
        let first = waiting.await?.ok_or("no bot ever greeted")?;
        after_nats.push(first.saturating_duration_since(ready).as_secs_f64());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (verdict, _) = stage.end(Ending::default()).await?;
    let worst = after_postgres.iter().chain(&after_nats).copied().fold(0.0, f64::max);
    let row = Row::new(worst, worst <= WITHIN.as_secs_f64())
        .with("unit", "seconds after it is ready, worst")
        .with("first_write_after_postgres", after_postgres)
        .with("first_event_after_nats", after_nats);
    Ok((row, verdict))
}

/// Says something again and again; gives when the first was acknowledged.
async fn talk(driver: Driver, shop: Shop, visitor: Somebody, chat: String) -> Instant {
    // Writes on their way when the database died may still be answered.
    tokio::time::sleep(Duration::from_millis(500)).await;
    loop {
        if driver.say(&visitor, &chat, &shop.words()).await.ok().is_some() {
            return Instant::now();
        }
    }
}

/// A chat begins while the broker is away; gives when the bot's greeting came.
async fn greeted(driver: Driver, shop: Shop, round: usize) -> Option<Instant> {
    let visitor = shop.visitor(&format!("greeted{round}"), false);
    let id = driver.start_chat(&visitor, &shop.with_bot, "").await.ok()?;
    for _ in 0..20 {
        let mut client = VisitorServiceClient::new(driver.at(&visitor, Service::Conversation, 0, Duration::ZERO));
        let request = WatchChatRequest { chat_id: id.clone(), after_visitor_sequence: 0 };
        let Ok(stream) = client.watch_chat(request).await else { continue };
        let mut stream = stream.into_inner();
        while let Ok(Ok(Some(line))) = tokio::time::timeout(Duration::from_secs(30), stream.message()).await {
            if line.entry.is_some_and(|line| line.author_kind() == ChatAuthorKind::Bot) {
                return Some(Instant::now());
            }
        }
    }
    None
}
