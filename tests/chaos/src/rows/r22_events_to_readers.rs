//! R22: under kills of services and of the broker, and faults of the readers themselves, every event reaches a consumer of the broker, a
//! subscriber that goes on from its cursor, and a receiver of webhooks: at least once, and in order where that is promised. Before that it is
//! measured how much later they get events beside receivers of another account that never answer.

use std::{collections::HashMap, ops::Range, time::Duration};

use frontdesk_auth::CallerKind;
use frontdesk_clock::Clock;
use tokio_util::sync::CancellationToken;

use super::{Context, Failure, FinishOptions, Row, Verdict, steady_load};
use crate::{
    cluster::Service,
    driver::Caller,
    faults::{FaultKind, inject_all, schedule},
    final_state::{FinalState, Reader},
    readers::{Answer, Readers, Receiver, create_endpoint, delete_endpoint},
    report::percentile,
    workload::{Account, Script, run_chats},
};

/// Number of endpoints whose receiver never answers: more attempts to them are in progress than quick endpoints have slots.
const SILENT_ENDPOINTS: usize = 4;
/// Maximum time by which the 99th percentile of a reader may rise beside them (seconds).
const MAX_DELAY: f64 = 1.0;
/// Number of chats of each account at a steady rate.
const CHATS: usize = 20;
/// Messages per second in each account, at a steady rate. A debug build on two busy cores serves less.
const RATE: u32 = if cfg!(debug_assertions) { 20 } else { 100 };
/// Minimum duration of a measurement.
const MIN_MEASUREMENT: Duration = Duration::from_secs(10);
/// Time to warm up connections and caches before the first measurement.
const WARM_UP: Duration = Duration::from_secs(3);
/// Number of chats at the same time under faults: about as many events as a receiver takes that fails a quarter of the time.
const CONCURRENT: usize = 4;

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let min_events = context.size.pick(200, 2_000, 20_000);
    let kills = context.size.pick(6, 20, 100);
    let (driver, account, other) = (context.driver.clone(), context.accounts[0].clone(), context.accounts[1].clone());
    let readers = Readers::start(&context.cluster, &driver, account.id, context.seed).await?;
    let clock = context.cluster.clock()?;
    let mut loads = Vec::new();
    for account in [account.clone(), other.clone()] {
        let chats = steady_load::chats(&driver, &account, CHATS).await?;
        loads.push((account, chats));
    }
    let duration = MIN_MEASUREMENT.max(Duration::from_secs_f64(min_events as f64 / 4.0 / f64::from(RATE)));
    send_messages(context, &loads, WARM_UP, &clock).await?;
    let alone = send_messages(context, &loads, duration, &clock).await?;
    let silent = SilentReceiver::start(context, &other).await?;
    let beside_silent = send_messages(context, &loads, duration, &clock).await?;
    let acknowledged = chat_under_faults(context, &readers, &account, (min_events / 2, kills)).await?;

    // The clock is not advanced: an endpoint waits two minutes for an event that is missing.
    let options = FinishOptions { readers: Some(&readers), advance_clock: false, ..FinishOptions::default() };
    let (verdict, state) = context.finish(options).await?;
    let (unanswered, lost_acks) = (silent.receiver.requests(), readers.lost_acks());
    silent.remove(context).await?;
    readers.remove(&context.cluster).await?;

    let events = state.events.iter().filter(|event| event.account == account.id.to_string()).count();
    let killed = context.log.count("kill");
    let delays = delays(&state, &alone, &beside_silent);
    let longest = delays.iter().map(|delay| delay.beside_silent - delay.alone).fold(0.0, f64::max);
    let enough = events >= min_events && killed >= kills && unanswered > 0;
    let mut row = Row::new(verdict.of(&["I17"]), verdict.total() == 0 && enough && longest <= MAX_DELAY)
        .with("unit", "events that were missing or out of order")
        .with("events", events)
        .with("kills", killed)
        .with("faults", context.log.all().len())
        .with("acknowledged_under_faults", acknowledged)
        .with("acks_lost", lost_acks)
        .with("requests_never_answered", unanswered)
        .with("seconds_later_beside_silent_receivers", longest);
    for delay in &delays {
        row = row
            .with(&format!("{}_p99_seconds", delay.reader.name), delay.alone)
            .with(&format!("{}_p99_seconds_beside_silent_receivers", delay.reader.name), delay.beside_silent)
            .with(&format!("{}_repeats", delay.reader.name), delay.reader.repeats);
    }
    Ok((row, verdict))
}

/// Sends messages in the chats of all accounts at the steady rate. Returns when that began and ended, by the installation's clock.
async fn send_messages(
    context: &Context,
    loads: &[(Account, Vec<(Caller, String)>)],
    duration: Duration,
    clock: &Clock,
) -> Result<Range<i64>, Failure> {
    let stop = CancellationToken::new();
    let began = clock.now().0;
    let start = |(account, chats): &(Account, Vec<(Caller, String)>)| {
        let (driver, account, chats) = (context.driver.clone(), account.clone(), chats.clone());
        tokio::spawn(steady_load::load(driver, account, chats, (RATE, 2), stop.clone()))
    };
    let running: Vec<_> = loads.iter().map(start).collect();
    tokio::time::sleep(duration).await;
    stop.cancel();
    for load in running {
        load.await?;
    }
    Ok(began..clock.now().0)
}

/// Runs chats until this number of messages is acknowledged and all faults were injected. Returns the number of messages.
async fn chat_under_faults(
    context: &mut Context,
    readers: &Readers,
    account: &Account,
    (messages, kills): (usize, usize),
) -> Result<usize, Failure> {
    let services = Service::ALL.into_iter().map(FaultKind::Kill);
    let kinds: Vec<FaultKind> = services.chain([FaultKind::KillNats]).collect();
    let faults = schedule(context.seed, &kinds, kills, 200..1_500);
    let (driver, log, seed) = (context.driver.clone(), context.log.clone(), context.seed);
    let done = CancellationToken::new();
    let continues = |acknowledged: usize| acknowledged < messages || !done.is_cancelled();
    let script = Script { messages: 6, ..Script::default() };
    let accounts = std::slice::from_ref(account);
    let work = run_chats(&driver, accounts, script, CONCURRENT, continues, None, seed);
    let injection = async {
        let injected = inject_all(&mut context.cluster, &faults, &log).await;
        done.cancel();
        injected
    };
    let failing = readers.fail(seed, &log, &done);
    let (acknowledged, injected, ()) = tokio::join!(work, injection, failing);
    injected?;
    Ok(acknowledged)
}

/// A receiver that never answers, with endpoints of one account.
struct SilentReceiver {
    receiver: Receiver,
    admin: Caller,
    endpoints: Vec<String>,
}

impl SilentReceiver {
    async fn start(context: &Context, account: &Account) -> Result<Self, Failure> {
        let receiver = Receiver::start(Answer::Never, context.seed).await?;
        let admin = context.driver.caller(account.id, CallerKind::Admin, "administrator", |_| {});
        let mut endpoints = Vec::new();
        for _ in 0..SILENT_ENDPOINTS {
            let (endpoint, _) = create_endpoint(&context.driver, &admin, &receiver.url(), false).await?;
            endpoints.push(endpoint);
        }
        Ok(Self { receiver, admin, endpoints })
    }

    /// Deletes the endpoints.
    async fn remove(self, context: &Context) -> Result<(), Failure> {
        for endpoint in &self.endpoints {
            delete_endpoint(&context.driver, &self.admin, endpoint).await?;
        }
        Ok(())
    }
}

/// The 99th percentiles of the time from an event to its receipt by one reader (seconds).
struct Delay<'a> {
    reader: &'a Reader,
    alone: f64,
    beside_silent: f64,
}

fn delays<'a>(state: &'a FinalState, alone: &Range<i64>, beside_silent: &Range<i64>) -> Vec<Delay<'a>> {
    let recorded: HashMap<&str, i64> = state.events.iter().map(|event| (event.id.as_str(), event.at)).collect();
    let p99 = |reader: &Reader, during: &Range<i64>| {
        let receipts = reader.received.iter().filter_map(|one| Some((*recorded.get(one.event.as_str())?, one.at)));
        let receipts = receipts.filter(|(recorded_at, _)| during.contains(recorded_at));
        let mut seconds: Vec<f64> = receipts.map(|(recorded_at, at)| (at - recorded_at) as f64 / 1e6).collect();
        percentile(&mut seconds, 99.0)
    };
    let delay =
        |reader: &'a Reader| Delay { reader, alone: p99(reader, alone), beside_silent: p99(reader, beside_silent) };
    state.readers.iter().map(delay).collect()
}
