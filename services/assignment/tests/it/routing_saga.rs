//! Reserving a place, changing the owner, and confirming: rules A1, A5, and what a failure at each step leaves.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk_assignment::{App, AssignmentSettings};
use frontdesk_client::Peer;
use frontdesk_proto::{
    assignment::v1::{AssignmentCause, RoutingStrategy},
    conversation::internal::v1::{
        ChangeAssigneesRequest, ChangeAssigneesResponse, arbiter_service_client::ArbiterServiceClient,
    },
};
use frontdesk_service::{AnyService, Process, ServiceContext};
use frontdesk_testkit::{FakeServices, Mode, wait_until};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Status};

use crate::{
    fixture::{Fixture, account, anybody},
    routing::{closed, handle, started},
};

frontdesk_testkit::on_both_modes! {
    a5_two_routers_and_200_conversations_exceed_no_capacity_and_leave_no_place_free,
    a5_a_change_whose_answer_is_lost_is_settled_by_repeating_it,
    a5_a_place_is_kept_while_the_row_cannot_be_asked_and_used_afterwards,
    a1_a_refused_change_gives_the_place_back,
    a4_round_robin_is_fair_across_replicas_and_restarts,
}

/// Starts another replica of the service on the same database. It stops when the guard is dropped.
async fn start_replica(service: &Fixture) -> DropGuard {
    let (shutdown, peers, key) = (CancellationToken::new(), service.fake.serve().await, service.key.clone());
    let context = ServiceContext {
        db: service.db.clone(),
        clock: service.clock.clone(),
        bus: service.bus.clone(),
        secret: key.installation_secret().clone(),
        data_folder: service.folder.path().to_owned(),
        shutdown: shutdown.clone(),
        peers: Arc::new(move |_| Peer::remote(&peers, "assignment", None, Some(&key))),
    };
    let replica = <dyn AnyService>::build::<App>(context, AssignmentSettings::default()).unwrap();
    let process = Process {
        services: vec![replica],
        bus: service.bus.clone(),
        tasks: Vec::new(),
        ops: None,
        drain: Duration::from_millis(100),
        shutdown: shutdown.clone(),
    };
    let until = shutdown.clone();
    tokio::spawn(frontdesk_service::run(process, move |_| async move { until.cancelled().await }));
    shutdown.drop_guard()
}

async fn a5_two_routers_and_200_conversations_exceed_no_capacity_and_leave_no_place_free(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let _replica = start_replica(&service).await;
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    for number in 0..20 {
        service.available(here, &format!("agent-{number}"), 5).await;
    }
    let mut conversations = Vec::new();
    for number in 0..200 {
        let conversation = service.conversation();
        conversations.push(conversation);
        service.deliver_again(&started(here, conversation, &policy.id, 5 + number)).await;
    }
    let owners = || {
        let mut loads: BTreeMap<String, i32> = BTreeMap::new();
        for (epoch, owner) in conversations.iter().map(|conversation| service.owner(*conversation)) {
            assert!(epoch <= 2, "no conversation is given away twice");
            if !owner.is_empty() {
                *loads.entry(owner).or_default() += 1;
            }
        }
        assert!(loads.values().all(|load| *load <= 5), "{loads:?}");
        loads
    };
    wait_until("100 assignments", || async { owners().values().sum::<i32>() == 100 }).await;
    service.settled().await;
    assert_eq!(owners().values().copied().collect::<Vec<_>>(), [5; 20]);
    // Each close gives its place to one that waits.
    let has_owner = |conversation: &&uuid::Uuid| !service.owner(**conversation).1.is_empty();
    let taken: Vec<_> = conversations.iter().filter(has_owner).copied().collect();
    let events: Vec<_> = taken.iter().take(30).map(|conversation| closed(here, *conversation, 3)).collect();
    handle(&service, &events).await;
    let assigned = || conversations.iter().filter(has_owner).count();
    wait_until("130 assignments", || async { assigned() == 130 }).await;
    service.settled().await;
    assert_eq!(assigned(), 130);
}

async fn a5_a_change_whose_answer_is_lost_is_settled_by_repeating_it(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    // The row changes, and the answer never arrives: what a crash after the change leaves.
    let (behind, lost) = (FakeServices::default(), Arc::new(AtomicUsize::new(0)));
    service.conversations.serve_by(&behind);
    let address = behind.serve().await;
    let (runtime, counter) = (tokio::runtime::Handle::current(), lost.clone());
    service.fake.on(move |request: Request<ChangeAssigneesRequest>| -> Result<ChangeAssigneesResponse, Status> {
        let (address, request) = (address.clone(), request.into_inner());
        let count = counter.clone();
        runtime.spawn(async move {
            let mut row = ArbiterServiceClient::connect(address).await.unwrap();
            row.change_assignees(request).await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
        });
        Err(Status::unavailable("lost"))
    });
    let ada = service.available(here, "ada", 1).await;
    let (first, second) = (service.conversation(), service.conversation());
    handle(&service, &[started(here, first, &policy.id, 5), started(here, second, &policy.id, 6)]).await;
    wait_until("the change", || async { service.owner(first) == (2, ada.id.clone()) }).await;
    // The reserved place counts, and the second one waits.
    assert_eq!(service.owner(second), (1, String::new()));
    wait_until("the repeats to end", || async { lost.load(Ordering::SeqCst) > 0 }).await;
    service.conversations.serve_by(&service.fake);
    service.clock.advance(Duration::from_secs(6)).unwrap();
    wait_until("the confirmation", || async { service.place(here, first).await == (0, 0) }).await;
    assert_eq!((service.owner(first).0, service.status(here, &ada).await.open_conversations), (2, 1));
    let history = service.history(here, first).await;
    let routed = history.iter().filter(|entry| entry.cause() == AssignmentCause::Routed).count();
    assert_eq!((routed, service.place(here, second).await), (1, (1, 1)));
}

async fn a5_a_place_is_kept_while_the_row_cannot_be_asked_and_used_afterwards(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    service.fail_changes_of_owner();
    let ada = service.available(here, "ada", 1).await;
    let (first, second) = (service.conversation(), service.conversation());
    handle(&service, &[started(here, first, &policy.id, 5), started(here, second, &policy.id, 6)]).await;
    wait_until("a call", || async { service.fake.calls::<ChangeAssigneesRequest>() > 0 }).await;
    assert_eq!((service.place(here, first).await, service.place(here, second).await), ((1, 2), (2, 2)));
    service.conversations.serve_by(&service.fake);
    service.clock.advance(Duration::from_secs(6)).unwrap();
    assert_eq!(service.routed(first).await, ada.id);
    assert_eq!(service.owner(second), (1, String::new()));
}

async fn a1_a_refused_change_gives_the_place_back(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let (taken, free) = (service.conversation(), service.conversation());
    // Its owner changed, and the event has not come.
    service.conversations.with(taken, |row| row.conversation.epoch = 2);
    handle(&service, &[started(here, taken, &policy.id, 5), started(here, free, &policy.id, 6)]).await;
    let ada = service.available(here, "ada", 1).await;
    assert_eq!(service.routed(free).await, ada.id);
    assert_eq!(service.owner(taken), (2, String::new()));
    assert_eq!(service.place(here, taken).await, (0, 0));
}

async fn a4_round_robin_is_fair_across_replicas_and_restarts(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::RoundRobin)).await;
    for number in 0..6 {
        service.available(here, &format!("agent-{number}"), 1_000).await;
    }
    let mut conversations = Vec::new();
    for round in 1..=4 {
        // Another one each time, which knows of the turns before what is stored. It stops at the end of the round.
        let _replica = start_replica(&service).await;
        for number in 0..31 {
            let conversation = service.conversation();
            conversations.push(conversation);
            service.deliver_again(&started(here, conversation, &policy.id, round * 100 + number)).await;
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for conversation in &conversations {
            *counts.entry(service.routed(*conversation).await).or_default() += 1;
        }
        let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
        assert!(counts.len() == 6 && most - least <= 1, "after {} assignments: {counts:?}", conversations.len());
        service.settled().await;
    }
}
