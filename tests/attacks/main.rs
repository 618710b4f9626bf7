//! Attacks on a process of its own: frames that no library would send, silence, greed. Beside them an honest caller goes on
//! with its day. What is promised: whoever floods is cut within a second, whoever does not greet within five; the honest
//! caller's time at most doubles; memory stays bounded; and the process says of itself neither panic nor INTERNAL.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking and tells what it measured"
)]

mod floods;
mod greed;
mod honest;
mod silence;
mod table;
mod tls;
mod victim;
mod wire;

use std::time::{Duration, Instant};

use frontdesk_proto::conversation::v1::{ListChannelsRequest, channel_service_client::ChannelServiceClient};
use frontdesk_tests::wait_for;
use tokio::sync::Mutex;

use crate::{
    floods::FLOODS,
    table::{MIB, Table},
    victim::Victim,
    wire::{Connection, END_HEADERS, Frames, HEADERS, PING, block},
};

/// Times are compared: no test of these runs beside another.
static ALONE: Mutex<()> = Mutex::const_new(());

/// What an attack may take of memory, in KiB.
const MAX_MEMORY_GROWTH: u64 = 64 * MIB;
/// A message that is refused is not unfolded first.
const A_MESSAGE_MAY_TAKE: u64 = 8 * MIB;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_misbehaving_connections_are_cut_and_other_callers_do_not_notice() {
    let _alone = ALONE.lock().await;
    let mut table = Table::open(Victim::start(&[]).await).await;
    let to = table.address();
    let account = table.victim.account().await;
    let bearer = table.victim.bearer(account.id);
    let thread = greed::long_thread(&account).await;
    let descriptors = table.victim.descriptors();
    // They last longer than all the others together, and cost the others nothing.
    let slow = tokio::spawn(silence::slow_frames(to));

    for flood in FLOODS {
        let frames = (flood.frames)();
        table.attack(flood.name, MAX_MEMORY_GROWTH, async || floods::flood(to, &frames).await).await;
    }
    table
        .attack("60 silent connections, a patient flood, a message in single bytes", MAX_MEMORY_GROWTH, async || {
            let (silent, patient, message) =
                tokio::join!(silence::no_greeting(to), silence::patient_flood(to), silence::slow_message(to));
            silent.and(patient).and(message)
        })
        .await;
    table
        .attack("1,000 streams on one connection", MAX_MEMORY_GROWTH, async || greed::streams_without_end(to).await)
        .await;
    table.attack("64 KiB of header fields, 50 times", MAX_MEMORY_GROWTH, async || greed::long_headers(to).await).await;
    table
        .attack("20 bombs of 33 MiB, and a message of 4 GiB", A_MESSAGE_MAY_TAKE, async || {
            greed::bombs(to, &bearer).await
        })
        .await;
    table
        .attack("200 watches without a window", MAX_MEMORY_GROWTH, async || {
            greed::no_window(to, &bearer, &thread).await
        })
        .await;
    table
        .attack("100 watches that nobody reads", MAX_MEMORY_GROWTH, async || {
            greed::deaf_ear(to, &bearer, &thread).await
        })
        .await;
    let slow = slow.await.unwrap();

    let (victim, mut wrong) = table.close();
    println!("| beside all of these | - | {} | | | | {} |\n", slow.how, slow.wrong.join("; "));
    wrong.extend(slow.wrong);
    serves(&victim).await;
    // The attackers are gone, and what they held comes back.
    wait_for("the attackers' descriptors", || async { (victim.descriptors() <= descriptors + 5).then_some(()) }).await;
    let (faults, _) = victim.faults();
    wrong.extend(faults);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_without_file_descriptors_the_server_waits_without_spinning_and_recovers() {
    let _alone = ALONE.lock().await;
    let (watched, may_take) = (Duration::from_secs(2), Duration::from_millis(400));
    let victim = Victim::start_with_descriptors(256).await;
    serves(&victim).await;
    // The kernel keeps those that are not accepted waiting, some of them half connected.
    let to = victim.process.listen;
    let held: Vec<_> = (0..400)
        .map(|_| {
            tokio::spawn(async move {
                let _connection = Connection::greeted(to, Frames::greeting()).await;
                std::future::pending::<()>().await;
            })
        })
        .collect();
    // A few go to and fro between the databases and the listener.
    wait_for("the last descriptors to be taken", || async { (victim.descriptors() > 230).then_some(()) }).await;
    let (busy, (_, lines)) = (victim.busy(), victim.faults());
    tokio::time::sleep(watched).await;
    let took = victim.busy() - busy;
    let told = victim.faults().1 - lines;
    println!("256 descriptors, 400 connections: {took:?} of processor time in {watched:?}, {told} lines in the log");
    held.iter().for_each(tokio::task::JoinHandle::abort);
    let began = Instant::now();
    serves(&victim).await;
    println!("and it serves again after {:?}", began.elapsed());
    assert!(took < may_take, "it spins: {took:?} of processor time in {watched:?}");
    assert!(told < 100, "{told} lines in the log say the same");
    assert!(began.elapsed() < Duration::from_secs(5), "it was long in coming back: {:?}", began.elapsed());
    assert_eq!(victim.faults().0, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_one_address_cannot_use_every_connection() {
    let _alone = ALONE.lock().await;
    let victim = Victim::start(&[("FRONTDESK__LIMITS__CONNECTIONS_PER_ADDRESS", "50")]).await;
    let mut held = Vec::new();
    for _ in 0..60 {
        let mut connection = Connection::open(victim.process.listen).await.unwrap();
        // Who is turned away at once may be gone before the greeting.
        let _ = connection.send(&Frames::greeting()).await;
        held.push(connection);
    }
    wait_for("ten to be turned away", || async {
        let closed = held.iter().filter(|connection| connection.heard().closed.is_some()).count();
        (closed == 10).then_some(())
    })
    .await;
    serves(&victim).await;
    held.retain(|connection| connection.heard().closed.is_none());
    held.truncate(49);
    // A place that was given back is given again.
    wait_for("a place", || async {
        let mut connection = Connection::greeted(victim.process.listen, Frames::greeting()).await.ok()?;
        connection.send(&Frames::default().frame(PING, 0, 0, &[0; 8])).await.ok()?;
        connection.until(|heard| heard.pongs == 1, Duration::from_millis(200)).await.then_some(())
    })
    .await;
}

/// Calls that are announced, and whose requests never come: they are refused in time, and keep no place from others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_incomplete_requests_hold_no_permit() {
    let _alone = ALONE.lock().await;
    let victim = Victim::start(&[("FRONTDESK__LIMITS__IN_FLIGHT", "4")]).await;
    serves(&victim).await;
    let bearer = victim.bearer(victim.account().await.id);
    let list = block("/frontdesk.conversation.v1.ChannelService/ListChannels", &[("authorization", &bearer)]);
    let mut connection = Connection::greeted(victim.process.listen, Frames::greeting()).await.unwrap();
    let announced = (0..20).map(|number| 2 * number + 1);
    let calls =
        announced.clone().fold(Frames::default(), |frames, stream| frames.frame(HEADERS, END_HEADERS, stream, &list));
    connection.send(&calls).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut honest = ChannelServiceClient::new(victim.account().await.admin());
    for _ in 0..10 {
        honest.list_channels(ListChannelsRequest::default()).await.unwrap();
    }
    let refused = connection
        .until(|heard| announced.clone().all(|stream| heard.ended.contains(&stream)), Duration::from_secs(7))
        .await;
    assert!(refused, "{:?}", connection.heard().ended);
}

/// Streams that ended, to callers who do not read that: ten seconds later their connection is cut, and the places are free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_unread_streams_are_cut_at_their_deadline() {
    let _alone = ALONE.lock().await;
    let victim = Victim::start(&[("FRONTDESK__LIMITS__STREAMS", "2")]).await;
    let account = victim.account().await;
    let thread = greed::long_thread(&account).await;
    let mut stalled = Connection::greeted(victim.process.listen, Frames::greeting_with_window(0)).await.unwrap();
    greed::watch_for_a_second(&mut stalled, &victim.bearer(account.id), &thread).await;
    let cut = stalled.until(|heard| heard.closed.is_some(), Duration::from_secs(13)).await;
    assert!(cut, "it is still open");
    serves(&victim).await;
}

/// Clients that measure the line send a PING and a WINDOW_UPDATE for each answer: thousands of both, and no attack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_a_busy_honest_client_is_not_cut() {
    let _alone = ALONE.lock().await;
    let victim = Victim::start(&[]).await;
    let check = block("/grpc.health.v1.Health/Check", &[]);
    let mut connection = Connection::greeted(victim.process.listen, Frames::greeting()).await.unwrap();
    let (mut read, began) = (0, Instant::now());
    for number in 0..1_500 {
        let stream = 2 * number + 1;
        connection.send(&Frames::default().call(stream, &check, &[])).await.unwrap();
        let answered = connection.until(|heard| heard.ended.contains(&stream), Duration::from_secs(5)).await;
        let heard = connection.heard();
        assert!(answered && heard.brought.contains(&stream), "call {number}: {:?}", heard.goodbye);
        let window = Frames::default().window(0, heard.bytes - read);
        connection.send(&window.frame(PING, 0, 0, &[0; 8])).await.unwrap();
        read = heard.bytes;
    }
    println!("1,500 calls, as many PINGs and WINDOW_UPDATEs in {:?}", began.elapsed());
}

/// A caller who comes anew is served, soon.
async fn serves(victim: &Victim) {
    wait_for("the process to serve", || async {
        let mut channels = ChannelServiceClient::new(victim.account().await.admin());
        channels.list_channels(ListChannelsRequest::default()).await.ok()
    })
    .await;
}
