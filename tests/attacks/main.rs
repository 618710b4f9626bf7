//! Attacks on a process: frames that no library sends, slow clients, exhausted resources, beside an honest caller. What
//! must hold: a flooding connection is cut within one second, one without an HTTP/2 preface within five; the honest
//! caller's latency at most doubles; memory stays bounded; and the log has neither a panic nor an INTERNAL error.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking and prints what it measured"
)]

mod floods;
mod honest_caller;
mod http2;
mod long_transcript;
mod report;
mod resource_exhaustion;
mod shared;
mod slow_clients;
mod target;
mod tls;
mod unread;

use std::time::{Duration, Instant};

use frontdesk_proto::conversation::v1::{ListChannelsRequest, channel_service_client::ChannelServiceClient};
use frontdesk_test_servers::NO_LIMITS_OF_CALLERS;
use frontdesk_tests::{Account, wait_for};
use tokio::sync::Mutex;

use crate::{
    floods::FLOODS,
    http2::{Connection, END_HEADERS, Frames, HEADERS, PING, Received, block},
    report::{MIB, Report},
    target::Target,
};

/// Held by each test, so that tests do not disturb each other's measurements.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Maximum growth of memory during an attack, in KiB.
const MAX_MEMORY_GROWTH: u64 = 64 * MIB;
/// Maximum growth of memory, in KiB, for compressed messages that are refused before they are decompressed.
const MAX_GROWTH_FOR_REFUSED_MESSAGES: u64 = 8 * MIB;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_misbehaving_connections_are_cut_and_other_callers_do_not_notice() {
    let _alone = ALONE.lock().await;
    // One attack opens more streams than a connection may have, without a token.
    let target = Target::start(&[("FRONTDESK__LIMITS__HEALTH_WATCHES_PER_ADDRESS", "1000")]).await;
    let mut report = Report::open(target).await;
    let to = report.address();
    let account = report.target.account().await;
    let bearer = report.target.bearer(account.id);
    let thread = resource_exhaustion::long_thread(&account).await;
    let descriptors = report.target.descriptors();
    // Runs beside the other attacks: it takes longer than all of them and uses no processor time.
    let slow = tokio::spawn(slow_clients::slow_frames(to));

    for flood in FLOODS {
        let frames = (flood.frames)();
        report.attack(flood.name, MAX_MEMORY_GROWTH, async || floods::flood(to, &frames).await).await;
    }
    report
        .attack("60 silent connections, a slow flood, a message in single bytes", MAX_MEMORY_GROWTH, async || {
            let (silent, flood, message) = tokio::join!(
                slow_clients::no_preface(to),
                slow_clients::slow_flood(to),
                slow_clients::slow_message(to)
            );
            silent.and(flood).and(message)
        })
        .await;
    report
        .attack("1,000 streams on one connection", MAX_MEMORY_GROWTH, async || {
            resource_exhaustion::too_many_streams(to).await
        })
        .await;
    report
        .attack("64 KiB of header fields, 50 times", MAX_MEMORY_GROWTH, async || {
            resource_exhaustion::long_headers(to).await
        })
        .await;
    report
        .attack("20 bombs of 33 MiB, and a message of 4 GiB", MAX_GROWTH_FOR_REFUSED_MESSAGES, async || {
            resource_exhaustion::compression_bombs(to, &bearer).await
        })
        .await;
    report
        .attack("200 watches without a window", MAX_MEMORY_GROWTH, async || {
            resource_exhaustion::no_window(to, &bearer, &thread).await
        })
        .await;
    report
        .attack("100 watches that are never read", MAX_MEMORY_GROWTH, async || {
            resource_exhaustion::unread_watches(to, &bearer, &thread).await
        })
        .await;
    report
        .attack("1,000 reflection streams without a window", MAX_MEMORY_GROWTH / 2, async || {
            unread::reflection(to).await
        })
        .await;
    report
        .attack("400 large requests that never end", MAX_MEMORY_GROWTH / 2, async || {
            unread::slow_bodies(to, &bearer).await
        })
        .await;
    let slow = slow.await.unwrap();

    let (target, mut wrong) = report.close();
    println!("| beside all of these | - | {} | | | | {} |\n", slow.how, slow.wrong.join("; "));
    wrong.extend(slow.wrong);
    wait_until_served(&target).await;
    // The descriptors of the attackers' connections are closed.
    wait_for("the attackers' descriptors", || async { (target.descriptors() <= descriptors + 5).then_some(()) }).await;
    let (faults, _) = target.faults();
    wrong.extend(faults);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_without_file_descriptors_the_server_waits_without_spinning_and_recovers() {
    let _alone = ALONE.lock().await;
    let (watched, may_take) = (Duration::from_secs(2), Duration::from_millis(400));
    let target = Target::start_with_descriptors(256).await;
    wait_until_served(&target).await;
    // The kernel queues the connections that the process does not accept.
    let to = target.process.listen;
    let held: Vec<_> = (0..400)
        .map(|_| {
            tokio::spawn(async move {
                let _connection = Connection::with_preface(to, Frames::preface()).await;
                std::future::pending::<()>().await;
            })
        })
        .collect();
    // A few descriptors are opened and closed all the time by the databases.
    wait_for("the last descriptors to be taken", || async { (target.descriptors() > 230).then_some(()) }).await;
    let (busy, (_, lines)) = (target.busy(), target.faults());
    tokio::time::sleep(watched).await;
    let took = target.busy() - busy;
    let logged = target.faults().1 - lines;
    println!("256 descriptors, 400 connections: {took:?} of processor time in {watched:?}, {logged} lines in the log");
    held.iter().for_each(tokio::task::JoinHandle::abort);
    let began = Instant::now();
    wait_until_served(&target).await;
    println!("and it serves again after {:?}", began.elapsed());
    assert!(took < may_take, "it spins: {took:?} of processor time in {watched:?}");
    assert!(logged < 100, "{logged} lines in the log for one condition");
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?} to serve again", began.elapsed());
    assert_eq!(target.faults().0, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_one_address_cannot_use_every_connection() {
    let _alone = ALONE.lock().await;
    let target = Target::start(&[("FRONTDESK__LIMITS__CONNECTIONS_PER_ADDRESS", "50")]).await;
    let mut held = Vec::new();
    for _ in 0..60 {
        let mut connection = Connection::open(target.process.listen).await.unwrap();
        // A refused connection may be closed before the preface is sent.
        let _ = connection.send(&Frames::preface()).await;
        held.push(connection);
    }
    wait_for("ten refused connections", || async {
        let closed = held.iter().filter(|connection| connection.received().closed.is_some()).count();
        (closed == 10).then_some(())
    })
    .await;
    wait_until_served(&target).await;
    held.retain(|connection| connection.received().closed.is_none());
    held.truncate(49);
    // A closed connection frees its permit.
    wait_for("a free permit", || async {
        let mut connection = Connection::with_preface(target.process.listen, Frames::preface()).await.ok()?;
        connection.send(&Frames::default().frame(PING, 0, 0, &[0; 8])).await.ok()?;
        connection.until(|received| received.pongs == 1, Duration::from_millis(200)).await.then_some(())
    })
    .await;
}

/// Calls whose requests never arrive are refused at their deadline, and hold no permit until then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_incomplete_requests_hold_no_permit() {
    let _alone = ALONE.lock().await;
    let target = Target::start(&[("FRONTDESK__LIMITS__IN_FLIGHT", "4")]).await;
    wait_until_served(&target).await;
    let bearer = target.bearer(target.account().await.id);
    let list = block("/frontdesk.conversation.v1.ChannelService/ListChannels", &[("authorization", &bearer)]);
    let mut connection = Connection::with_preface(target.process.listen, Frames::preface()).await.unwrap();
    let announced = (0..20).map(|number| 2 * number + 1);
    let calls =
        announced.clone().fold(Frames::default(), |frames, stream| frames.frame(HEADERS, END_HEADERS, stream, &list));
    connection.send(&calls).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut honest = ChannelServiceClient::new(target.account().await.admin());
    for _ in 0..10 {
        honest.list_channels(ListChannelsRequest::default()).await.unwrap();
    }
    let refused = connection
        .until(|received| announced.clone().all(|stream| received.ended.contains(&stream)), Duration::from_secs(7))
        .await;
    assert!(refused, "{:?}", connection.received().ended);
}

/// Clients that open all their streams together, as after a restart, wait for one another and are all served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_streams_that_are_opened_together_are_all_served_and_calls_go_on() {
    let _alone = ALONE.lock().await;
    let target = Target::start(&[("FRONTDESK__LIMITS__IN_FLIGHT", "16")]).await;
    let account = target.account().await;
    let channel = account.channel(None).await;
    let thread = account.start_chat(account.visitor("talker"), &channel).await.id;
    let bearer = target.bearer(account.id);
    let connections = (0..5).map(|_| resource_exhaustion::watches_at_once(target.process.listen, &bearer, &thread));
    let mut honest = ChannelServiceClient::new(target.account().await.admin());
    let calls = async {
        for _ in 0..20 {
            honest.list_channels(ListChannelsRequest::default()).await.unwrap();
        }
    };
    let (connections, ()) = tokio::join!(futures::future::join_all(connections), calls);
    for connection in connections {
        let received = connection.received();
        assert_eq!((received.with_message.len(), received.ended.len()), (100, 0), "open and refused");
    }
}

/// Streams whose end is not read are reset ten seconds later, and their permits are free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_unread_streams_are_reset_after_their_deadline() {
    let _alone = ALONE.lock().await;
    let target =
        Target::start(&[("FRONTDESK__LIMITS__STREAMS", "2"), ("FRONTDESK__LIMITS__ACCOUNT_SHARE", "100")]).await;
    let account = target.account().await;
    let thread = resource_exhaustion::long_thread(&account).await;
    let mut stalled = Connection::with_preface(target.process.listen, Frames::preface_with_window(0)).await.unwrap();
    resource_exhaustion::watch_for_a_second(&mut stalled, &target.bearer(account.id), &thread).await;
    let reset = stalled.until(|received| !received.ended.is_empty(), Duration::from_secs(13)).await;
    assert!(reset && stalled.received().closed.is_none(), "{:?}", stalled.received());
    wait_until_served(&target).await;
}

/// Answers that their clients do not read are bounded in memory, on both listeners; their calls are reset, and the connections of
/// browsers that carry one call at a time are closed. A call that is read goes on beside them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_unread_answers_are_bounded_and_their_calls_are_reset() {
    let _alone = ALONE.lock().await;
    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Half of it is the account's.
    let unread_bytes = 32 * 1024 * 1024;
    let target = Target::start(&[
        ("FRONTDESK__LIMITS__UNREAD_BYTES", &unread_bytes.to_string()),
        ("FRONTDESK__WEB__LISTEN", &web.to_string()),
        ("FRONTDESK__WEB__SERVICES", "frontdesk.conversation.v1.ThreadService"),
    ])
    .await;
    let account = target.account().await;
    let thread = resource_exhaustion::long_thread(&account).await;
    let bearer = target.bearer(account.id);
    // What one page takes while it is read from the database is not what is measured.
    drop(unread::unread_pages(target.process.listen, &bearer, &thread, 20, 0).await);
    wait_until_served(&target).await;
    let (descriptors, usual) = (target.descriptors(), target.memory());
    let mut most = usual;
    let mut small = unread::unread_pages(target.process.listen, &bearer, &thread, 1, 1).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(unread::unread_pages(target.process.listen, &bearer, &thread, 40, 0).await);
        most = most.max(target.memory());
    }
    let unread: usize = held
        .iter()
        .map(|connection| connection.received())
        .map(|received| received.answered.difference(&received.ended).count())
        .sum();
    let mut browsers = Vec::new();
    for _ in 0..40 {
        browsers.push(unread::unread_page_of_browser(web, &bearer, &thread).await.unwrap());
        most = most.max(target.memory());
    }
    let grew = most.saturating_sub(usual);
    let open = target.descriptors();
    println!("160 pages on 4 connections, {unread} are held; 40 of browsers: {} MiB, {open} descriptors", grew / MIB);
    // A page is about 1 MiB.
    assert!((8..=20).contains(&unread), "{unread} unread pages are held");
    assert!(grew < MAX_MEMORY_GROWTH, "memory grew by {} MiB", grew / MIB);
    let reset = small.until(|received| received.ended.contains(&1), Duration::from_secs(12)).await;
    assert!(reset && small.received().closed.is_none(), "an answer of 30 KB is unread: {:?}", small.received());
    wait_until_served(&target).await;
    let reset = held.iter_mut().map(|connection| async {
        let all = |received: &Received| received.answered.is_subset(&received.ended);
        connection.until_alive(all, Duration::from_secs(60)).await && connection.received().closed.is_none()
    });
    assert!(futures::future::join_all(reset).await.iter().all(|reset| *reset), "unread answers are held");
    let began = Instant::now();
    while target.descriptors() > descriptors + 10 {
        assert!(began.elapsed() < Duration::from_secs(50), "{} of {open} descriptors are open", target.descriptors());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    println!("closed after {:?}", began.elapsed());
    drop((held, browsers));
    assert_eq!(target.faults().0, [""; 0]);
}

/// Previews of a long chat, all at once: a few are composed at a time, and the others wait or are refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_previews_at_once_are_bounded_in_memory() {
    let _alone = ALONE.lock().await;
    let target = Target::start(&[]).await;
    let account = target.account().await;
    let thread = resource_exhaustion::long_thread(&account).await;
    let bearer = target.bearer(account.id);
    // What as many as are composed at a time take, and what the allocator keeps of them, is not what is measured.
    for _ in 0..3 {
        unread::previews(target.process.listen, &bearer, &thread, 4).await;
    }
    let usual = target.memory();
    let attack = unread::previews(target.process.listen, &bearer, &thread, 40);
    let mut attack = std::pin::pin!(attack);
    let mut most = usual;
    let answered = loop {
        tokio::select! {
            answered = &mut attack => break answered,
            () = tokio::time::sleep(Duration::from_millis(50)) => most = most.max(target.memory()),
        }
    };
    let grew = most.saturating_sub(usual);
    println!("40 previews of 1.5 MB at once: {answered} answered with a part, {} MiB", grew / MIB);
    assert!(answered > 0, "none was composed");
    assert!(grew < MAX_MEMORY_GROWTH, "memory grew by {} MiB", grew / MIB);
    wait_until_served(&target).await;
    assert_eq!(target.faults().0, [""; 0]);
}

/// A thread of 40 MB: only what the mail shows of it is kept while it is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_t6_composing_the_transcript_of_ten_thousand_messages_needs_bounded_memory() {
    const MAX_TRANSCRIPT_BYTES: i32 = 256 * 1024;
    // Much less than the thread, and more than the pages of it that are read at the same time.
    const MAX_GROWTH: u64 = 24 * MIB;
    let _alone = ALONE.lock().await;
    let size = MAX_TRANSCRIPT_BYTES.to_string();
    let setting = ("FRONTDESK__NOTIFICATION__TRANSCRIPT_MAX_BYTES", size.as_str());
    let mut target = Target::start(&[&NO_LIMITS_OF_CALLERS[..], &[setting]].concat()).await;
    let account = target.account().await;
    let short = long_transcript::chat(&account, "short", 1_000).await;
    let long = long_transcript::chat(&account, "long", 10_000).await;
    // The allocator keeps what the posts took, in which the thread could hide.
    target.process.terminate().await;
    target.process.restart().await;
    wait_until_served(&target).await;
    let account = Account::open(&target.process.address(), &target.process.keys(), account.id.0).await;
    // What the pages of a thread take, and what the allocator keeps of them, is not what is measured.
    for _ in 0..3 {
        long_transcript::compose(&account, &short).await;
    }
    let usual = target.memory();
    let (size, most) = long_transcript::compose_watched(&target, &account, &long).await;
    let grew = most.saturating_sub(usual);
    println!("a transcript of 10,000 messages of 4,000 bytes: HTML of {size} bytes, {} MiB", grew / MIB);
    assert!((1..MAX_TRANSCRIPT_BYTES).contains(&size), "the first and the last part: {size}");
    assert!(grew < MAX_GROWTH, "memory grew by {} MiB", grew / MIB);
    assert_eq!(target.faults().0, [""; 0]);
}

/// Clients that measure bandwidth send a PING and a WINDOW_UPDATE for each response: thousands of both are not an
/// attack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_a_busy_honest_client_is_not_cut() {
    let _alone = ALONE.lock().await;
    let target = Target::start(&[]).await;
    let check = block("/grpc.health.v1.Health/Check", &[]);
    let mut connection = Connection::with_preface(target.process.listen, Frames::preface()).await.unwrap();
    let (mut read, began) = (0, Instant::now());
    for number in 0..1_500 {
        let stream = 2 * number + 1;
        connection.send(&Frames::default().call(stream, &check, &[])).await.unwrap();
        let answered = connection.until(|received| received.ended.contains(&stream), Duration::from_secs(5)).await;
        let received = connection.received();
        assert!(answered && received.with_message.contains(&stream), "call {number}: {:?}", received.goaway);
        let window = Frames::default().window(0, received.bytes - read);
        connection.send(&window.frame(PING, 0, 0, &[0; 8])).await.unwrap();
        read = received.bytes;
    }
    println!("1,500 calls, as many PINGs and WINDOW_UPDATEs in {:?}", began.elapsed());
}

/// Waits until a new connection is served.
async fn wait_until_served(target: &Target) {
    wait_for("the process to serve", || async {
        let mut channels = ChannelServiceClient::new(target.account().await.admin());
        channels.list_channels(ListChannelsRequest::default()).await.ok()
    })
    .await;
}
