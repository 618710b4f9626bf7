//! A steady load of messages: an open loop at a fixed rate, whether or not earlier calls were answered.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use frontdesk_proto::conversation::v1::{SendMessageRequest, visitor_service_client::VisitorServiceClient};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Context, Failure};
use crate::{
    cluster::Service,
    driver::{ATTEMPT_TIMEOUT, Caller, Driver, Outcome, request_id},
    workload::Account,
};

/// One call: when it was due, since the start of the load; how long it took from then until its last response; whether it was
/// acknowledged; and after how many attempts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) at: Duration,
    pub(super) took: Duration,
    pub(super) acknowledged: bool,
    pub(super) attempts: u32,
}

/// Starts chats for the load.
pub(super) async fn chats(driver: &Driver, account: &Account, count: usize) -> Result<Vec<(Caller, String)>, Failure> {
    let mut chats = Vec::with_capacity(count);
    for number in 0..count {
        let visitor = account.visitor(&format!("s{number}"), false);
        let id =
            driver.start_chat(&visitor, &account.plain_channel, "").await.ok().ok_or("no chat could be started")?;
        chats.push((visitor, id));
    }
    Ok(chats)
}

/// Makes `rate` calls per second until `stop`, each with at most `attempts` attempts.
pub(super) async fn load(
    driver: Driver,
    account: Account,
    chats: Vec<(Caller, String)>,
    (rate, attempts): (u32, u32),
    stop: CancellationToken,
) -> Vec<Call> {
    let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
    let mut running = JoinSet::new();
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut number = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let (driver, calls) = (driver.clone(), calls.clone());
        let ((visitor, chat), text) = (chats[number % chats.len()].clone(), account.message_text());
        let at = began.elapsed();
        running.spawn(async move {
            let (acknowledged, attempts) = call(&driver, &visitor, &chat, &text, attempts).await;
            let call = Call { at, took: began.elapsed() - at, acknowledged, attempts };
            calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        });
        number += 1;
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
    let mut calls = std::mem::take(&mut *calls.lock().unwrap_or_else(PoisonError::into_inner));
    calls.sort_by_key(|call| call.at);
    calls
}

async fn call(driver: &Driver, visitor: &Caller, chat: &str, text: &str, attempts: u32) -> (bool, u32) {
    let request = SendMessageRequest {
        chat_id: chat.to_owned(),
        text: text.to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    let operation = driver.operation(visitor, "SendMessage", chat, &request.request_id);
    let arguments = json!({ "text": text });
    let summarize = |response: &frontdesk_proto::conversation::v1::SendMessageResponse| json!({ "visitor_sequence": response.entry.as_ref().map(|entry| entry.visitor_sequence) });
    let first = driver.next_replica();
    for attempt in 1..=attempts {
        // A load balancer sends a repeat to another replica.
        let channel = driver.at(visitor, Service::Conversation, first + attempt as usize, ATTEMPT_TIMEOUT);
        let mut client = VisitorServiceClient::new(channel);
        let request = request.clone();
        let sending = async move { client.send_message(request).await };
        match driver.attempt(&operation, attempt, &arguments, summarize, sending).await {
            Outcome::Ok(_) => return (true, attempt),
            Outcome::Refused(_) => return (false, attempt),
            Outcome::Unknown => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    (false, attempts)
}

/// The 99th percentile of the latency in milliseconds, for each complete window between `from` and `to`.
pub(super) fn windows(calls: &[Call], (from, to): (Duration, Duration), window: Duration) -> Vec<f64> {
    let mut all = Vec::new();
    let mut begin = from;
    while begin + window <= to {
        let within = calls.iter().filter(|call| (begin..begin + window).contains(&call.at));
        let mut took: Vec<f64> = within.map(|call| call.took.as_secs_f64() * 1000.0).collect();
        if !took.is_empty() {
            all.push(crate::report::percentile(&mut took, 99.0));
        }
        begin += window;
    }
    all
}

/// Rate of the load in calls per second.
pub(super) fn rate(context: &Context) -> u32 {
    // A debug build on two busy cores serves less.
    if cfg!(debug_assertions) { 60 } else { context.size.pick(100, 500, 500) }
}
