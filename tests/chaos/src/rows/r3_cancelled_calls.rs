//! R3: calls that are cancelled after 0 to 5 ms: no acknowledged message is lost or stored twice, and no transaction stays open.

use std::{
    sync::atomic::{AtomicI64, AtomicUsize, Ordering},
    time::Duration,
};

use frontdesk_proto::conversation::v1::{SendMessageRequest, visitor_service_client::VisitorServiceClient};
use futures::StreamExt;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;

use super::{Context, Failure, FinishOptions, Row, Verdict};
use crate::{
    cluster::Service,
    driver::{Caller, Driver, Outcome, request_id},
    final_state::Databases,
    history::{Details, Kind},
    workload::Account,
};

/// Number of chats that the calls are spread over.
const CHATS: usize = 20;
/// Number of concurrent calls. The server closes a connection with hundreds of stream resets at once.
const CONCURRENT: usize = 20;
/// Interval between two looks at idle transactions.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let calls = context.size.pick(300, 1_000, 10_000);
    let (driver, account) = (context.driver.clone(), context.accounts[0].clone());
    let mut chats = Vec::new();
    for number in 0..CHATS {
        let visitor = account.visitor(&format!("v{number}"), false);
        let id =
            driver.start_chat(&visitor, &account.plain_channel, "").await.ok().ok_or("no chat could be started")?;
        chats.push((visitor, id));
    }
    let (cancelled, acknowledged) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let seed = context.seed;
    let all = futures::stream::iter(0..calls).for_each_concurrent(CONCURRENT, |number| {
        let (visitor, chat) = &chats[number % CHATS];
        let (driver, account, cancelled, acknowledged) = (&driver, &account, &cancelled, &acknowledged);
        async move {
            let mut random = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
            let timeout = Duration::from_micros(random.random_range(0..5_000));
            let (was_cancelled, was_acknowledged) = cancel_and_repeat(driver, account, visitor, chat, timeout).await;
            cancelled.fetch_add(usize::from(was_cancelled), Ordering::Relaxed);
            acknowledged.fetch_add(usize::from(was_acknowledged), Ordering::Relaxed);
        }
    });
    let max_idle = AtomicI64::new(0);
    tokio::select! {
        () = all => {}
        error = poll_idle_in_transaction(&context.databases, &max_idle) => return Err(error.into()),
    }
    // A transaction that is open after the last call has ended would stay open.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let idle = max_idle.into_inner().max(idle_in_transaction(&context.databases).await?);
    let (verdict, _) = context.finish(FinishOptions::default()).await?;
    let lost = verdict.of(&["I1", "I2", "I4"]);
    let (cancelled, acknowledged) = (cancelled.into_inner(), acknowledged.into_inner());
    let row = Row::new(lost, lost == 0 && idle == 0 && acknowledged == calls && cancelled > calls / 10)
        .with("calls", calls)
        .with("cancelled", cancelled)
        .with("acknowledged", acknowledged)
        .with("idle_in_transaction_over_1s", idle);
    Ok((row, verdict))
}

/// Makes a call that is cancelled after `timeout`, and repeats it. Returns whether it was cancelled, and whether the repeat was
/// acknowledged.
async fn cancel_and_repeat(
    driver: &Driver,
    account: &Account,
    visitor: &Caller,
    chat: &str,
    timeout: Duration,
) -> (bool, bool) {
    let (id, text) = (request_id(), account.message_text());
    let arguments = json!({ "text": text });
    let operation = driver.operation(visitor, "SendMessage", chat, &id);
    let request = SendMessageRequest {
        chat_id: chat.to_owned(),
        text: text.clone(),
        request_id: id.clone(),
        ..Default::default()
    };
    driver.recorder.write(&operation, 1, Kind::Invoke, Details { arguments: arguments.clone(), ..Details::default() });
    let mut client = VisitorServiceClient::new(driver.next(visitor, Service::Conversation));
    let first = tokio::time::timeout(timeout, client.send_message(request)).await;
    let code = if first.is_err() { "CANCELLED" } else { "" };
    driver.recorder.write(&operation, 1, Kind::Unknown, Details { code: code.into(), ..Details::default() });
    // A chat widget repeats a call with the same request id.
    let repeated = driver.send_message_with_id(visitor, chat, &text, &id, arguments).await;
    (first.is_err(), matches!(repeated, Outcome::Ok(_)))
}

/// Polls the number of idle transactions and stores the maximum; returns only with an error.
async fn poll_idle_in_transaction(databases: &Databases, max: &AtomicI64) -> sea_orm::DbErr {
    loop {
        match idle_in_transaction(databases).await {
            Ok(idle) => max.fetch_max(idle, Ordering::Relaxed),
            Err(error) => return error,
        };
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Number of database sessions that have been idle in a transaction for more than a second.
async fn idle_in_transaction(databases: &Databases) -> Result<i64, sea_orm::DbErr> {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' \
               AND clock_timestamp() - state_change > interval '1 second'";
    databases.number(Service::Conversation, sql).await
}
