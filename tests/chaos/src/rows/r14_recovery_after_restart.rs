//! R14: the broker or the database is killed and restarted: how long writes and events take to recover once it is ready.

use std::time::{Duration, Instant};

use frontdesk_proto::{
    actor::v1::ActorKind,
    conversation::v1::{WatchChatRequest, visitor_service_client::VisitorServiceClient, watch_chat_response::Update},
};

use super::{Context, Failure, FinishOptions, Row, Verdict};
use crate::{
    cluster::Service,
    driver::{Caller, Driver},
    workload::Account,
};

/// Maximum time until the first write or event after the server is ready.
const RECOVERY: Duration = Duration::from_secs(2);
/// How long the server is down.
const DOWNTIME: Duration = Duration::from_secs(3);

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let rounds = context.size.pick(1, 4, 10);
    let (driver, account) = (context.driver.clone(), context.accounts[0].clone());
    let visitor = account.visitor("steady", false);
    let chat = driver.start_chat(&visitor, &account.plain_channel, "").await.ok().ok_or("no chat could be started")?;
    let (mut after_postgres, mut after_nats) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Messages are sent all the time, so that every pool has broken connections.
        let number = context.log.start("kill", "postgres");
        context.cluster.postgres.kill().await;
        let sending = tokio::spawn(first_acknowledged(driver.clone(), account.clone(), visitor.clone(), chat.clone()));
        tokio::time::sleep(DOWNTIME).await;
        context.cluster.postgres.restart().await;
        let ready = Instant::now();
        context.log.end(number);
        let first = sending.await?;
        after_postgres.push(first.saturating_duration_since(ready).as_secs_f64());

        let number = context.log.start("kill", "nats");
        context.cluster.nats.kill().await;
        let waiting = tokio::spawn(first_greeting(driver.clone(), account.clone(), round));
        tokio::time::sleep(DOWNTIME).await;
        context.cluster.nats.restart().await;
        let ready = Instant::now();
        context.log.end(number);
        let first = waiting.await?.ok_or("the bot never sent its greeting")?;
        after_nats.push(first.saturating_duration_since(ready).as_secs_f64());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (verdict, _) = context.finish(FinishOptions::default()).await?;
    let worst = after_postgres.iter().chain(&after_nats).copied().fold(0.0, f64::max);
    let row = Row::new(worst, worst <= RECOVERY.as_secs_f64())
        .with("unit", "seconds after it is ready, worst")
        .with("first_write_after_postgres", after_postgres)
        .with("first_event_after_nats", after_nats);
    Ok((row, verdict))
}

/// Sends messages until one is acknowledged; returns the time of the acknowledgement.
async fn first_acknowledged(driver: Driver, account: Account, visitor: Caller, chat: String) -> Instant {
    // Writes that were in flight when the database was killed may still be acknowledged.
    tokio::time::sleep(Duration::from_millis(500)).await;
    loop {
        if driver.send_message(&visitor, &chat, &account.message_text()).await.ok().is_some() {
            return Instant::now();
        }
    }
}

/// Starts a chat while the broker is down; returns the time at which the bot's greeting arrived.
async fn first_greeting(driver: Driver, account: Account, round: usize) -> Option<Instant> {
    let visitor = account.visitor(&format!("greeted{round}"), false);
    let id = driver.start_chat(&visitor, &account.bot_channel, "").await.ok()?;
    for _ in 0..20 {
        let mut client = VisitorServiceClient::new(driver.at(&visitor, Service::Conversation, 0, Duration::ZERO));
        let request = WatchChatRequest { chat_id: id.clone(), after_visitor_sequence: 0 };
        let Ok(stream) = client.watch_chat(request).await else { continue };
        let mut stream = stream.into_inner();
        while let Ok(Ok(Some(response))) = tokio::time::timeout(Duration::from_secs(30), stream.message()).await {
            let Some(Update::Entry(entry)) = response.update else { continue };
            if entry.author.is_some_and(|author| author.kind() == ActorKind::Bot) {
                return Some(Instant::now());
            }
        }
    }
    None
}
