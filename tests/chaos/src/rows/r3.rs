//! R3: calls that hang up after 0 to 5 ms; nothing acknowledged is lost, nothing doubled, no transaction stays open.

use std::{
    sync::atomic::{AtomicI64, AtomicUsize, Ordering},
    time::Duration,
};

use frontdesk_proto::conversation::v1::{SendMessageRequest, visitor_service_client::VisitorServiceClient};
use futures::StreamExt;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;

use super::{Ending, Failure, Row, Stage, Verdict};
use crate::{
    cluster::Service,
    driver::{Driver, Outcome, Somebody, request_id},
    finals::Databases,
    history::{Kind, Tells},
    workload::Shop,
};

const CHATS: usize = 20;
/// Hundreds of resets at once on one connection are cut as an attack.
const AT_ONCE: usize = 20;

pub(super) async fn run(stage: &mut Stage) -> Result<(Row, Verdict), Failure> {
    let calls = stage.size.pick(300, 1_000, 10_000);
    let (driver, shop) = (stage.driver.clone(), stage.shops[0].clone());
    let mut chats = Vec::new();
    for number in 0..CHATS {
        let visitor = shop.visitor(&format!("v{number}"), false);
        let id = driver.start_chat(&visitor, &shop.with_nobody, "").await.ok().ok_or("no chat was started")?;
        chats.push((visitor, id));
    }
    let (hung_up, acknowledged) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let seed = stage.seed;
    let all = futures::stream::iter(0..calls).for_each_concurrent(AT_ONCE, |number| {
        let (visitor, chat) = &chats[number % CHATS];
        let (driver, shop, hung_up, acknowledged) = (&driver, &shop, &hung_up, &acknowledged);
        async move {
            let mut random = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
            let patience = Duration::from_micros(random.random_range(0..5_000));
            let (cancelled, known) = one(driver, shop, visitor, chat, patience).await;
            hung_up.fetch_add(usize::from(cancelled), Ordering::Relaxed);
            acknowledged.fetch_add(usize::from(known), Ordering::Relaxed);
        }
    });
    let seen_idle = AtomicI64::new(0);
    tokio::select! {
        () = all => {}
        error = look(&stage.databases, &seen_idle) => return Err(error.into()),
    }
    // What is open now stays open: look once more, when everybody is gone.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let idle = seen_idle.into_inner().max(idle_in_transaction(&stage.databases).await?);
    let (verdict, _) = stage.end(Ending::default()).await?;
    let lost = verdict.of(&["I1", "I2", "I4"]);
    let (hung_up, acknowledged) = (hung_up.into_inner(), acknowledged.into_inner());
    let row = Row::new(lost, lost == 0 && idle == 0 && acknowledged == calls && hung_up > calls / 10)
        .with("calls", calls)
        .with("hung_up", hung_up)
        .with("acknowledged", acknowledged)
        .with("idle_in_transaction_over_1s", idle);
    Ok((row, verdict))
}

/// One call that hangs up, and its repeat. Whether it hung up, whether it was acknowledged in the end.
async fn one(driver: &Driver, shop: &Shop, visitor: &Somebody, chat: &str, patience: Duration) -> (bool, bool) {
    let (id, words) = (request_id(), shop.words());
    let given = json!({ "text": words });
    let operation = driver.operation(visitor, "SendMessage", chat, &id);
    let request = SendMessageRequest { chat_id: chat.to_owned(), text: words.clone(), request_id: id.clone() };
    driver.recorder.write(&operation, 1, Kind::Invoke, Tells { given: given.clone(), ..Tells::default() });
    let mut client = VisitorServiceClient::new(driver.next(visitor, Service::Conversation));
    let first = tokio::time::timeout(patience, client.send_message(request)).await;
    let code = if first.is_err() { "CANCELLED" } else { "" };
    driver.recorder.write(&operation, 1, Kind::Unknown, Tells { code: code.into(), ..Tells::default() });
    // It comes back with the same request, as a widget does.
    let again = driver.say_as(visitor, chat, &words, &id, given).await;
    (first.is_err(), matches!(again, Outcome::Ok(_)))
}

/// Looks again and again and keeps the worst; comes back only with an error.
async fn look(databases: &Databases, worst: &AtomicI64) -> sea_orm::DbErr {
    loop {
        match idle_in_transaction(databases).await {
            Ok(idle) => worst.fetch_max(idle, Ordering::Relaxed),
            Err(error) => return error,
        };
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Sessions that have stood inside a transaction for more than a second.
async fn idle_in_transaction(databases: &Databases) -> Result<i64, sea_orm::DbErr> {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' \
               AND clock_timestamp() - state_change > interval '1 second'";
    databases.number(Service::Conversation, sql).await
}
