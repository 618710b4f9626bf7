//! A steady load of messages: one every so often, whether or not the ones before were answered.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use frontdesk_proto::conversation::v1::{SendMessageRequest, visitor_service_client::VisitorServiceClient};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Failure, Stage};
use crate::{
    cluster::Service,
    driver::{ATTEMPT, Driver, Outcome, Somebody, request_id},
    workload::Shop,
};

/// One call: when it was due, since the load began; how long until the answer, waiting included; whether it was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) at: Duration,
    pub(super) took: Duration,
    pub(super) acknowledged: bool,
    pub(super) attempts: u32,
}

/// Chats to talk in.
pub(super) async fn chats(driver: &Driver, shop: &Shop, count: usize) -> Result<Vec<(Somebody, String)>, Failure> {
    let mut chats = Vec::with_capacity(count);
    for number in 0..count {
        let visitor = shop.visitor(&format!("s{number}"), false);
        let id = driver.start_chat(&visitor, &shop.with_nobody, "").await.ok().ok_or("no chat was started")?;
        chats.push((visitor, id));
    }
    Ok(chats)
}

/// So many calls a second until the stop, each with at most so many attempts.
pub(super) async fn load(
    driver: Driver,
    shop: Shop,
    chats: Vec<(Somebody, String)>,
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
        let ((visitor, chat), words) = (chats[number % chats.len()].clone(), shop.words());
        let at = began.elapsed();
        running.spawn(async move {
            let (acknowledged, attempts) = call(&driver, &visitor, &chat, &words, attempts).await;
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

async fn call(driver: &Driver, visitor: &Somebody, chat: &str, words: &str, attempts: u32) -> (bool, u32) {
    let request = SendMessageRequest { chat_id: chat.to_owned(), text: words.to_owned(), request_id: request_id() };
    let operation = driver.operation(visitor, "SendMessage", chat, &request.request_id);
    let given = json!({ "text": words });
    let tell = |answer: &frontdesk_proto::conversation::v1::SendMessageResponse| json!({ "visitor_sequence": answer.entry.as_ref().map(|entry| entry.visitor_sequence) });
    let first = driver.turn();
    for attempt in 1..=attempts {
        // A repeat goes to another replica, as a load balancer's does.
        let to = driver.at(visitor, Service::Conversation, first + attempt as usize, ATTEMPT);
        let mut client = VisitorServiceClient::new(to);
        let request = request.clone();
        let sending = async move { client.send_message(request).await };
        match driver.attempt(&operation, attempt, &given, tell, sending).await {
            Outcome::Ok(_) => return (true, attempt),
            Outcome::Refused(_) => return (false, attempt),
            Outcome::Unknown => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    (false, attempts)
}

/// The 99th percentile in milliseconds of the calls in each full window of so long, in their order.
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

/// The rate for a row at this size, in calls a second.
pub(super) fn rate(stage: &Stage) -> u32 {
    // A debug binary on two busy cores carries less.
    if cfg!(debug_assertions) { 60 } else { stage.size.pick(100, 500, 500) }
}
