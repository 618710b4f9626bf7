//! Many conversations at once: decisions, changes of owners and their confirmations in batches. Rules A4, A5, A6.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{
        Agent, AgentCapacity, AssignmentCause, OutsideOpeningHours, RoutingStrategy, UpdateAgentRequest,
        agent_capacity::{Limit, Unlimited},
    },
    conversation::internal::v1::{
        ChangeAssigneeOutcome, ChangeAssigneeRequest, ChangeAssigneeResult, ChangeAssigneesRequest,
        ChangeAssigneesResponse,
    },
    event::v1::ConversationHandedOff,
};
use frontdesk_testkit::{Mode, new_id, wait_until};
use sea_orm::ConnectionTrait;
use tonic::{Request, Status};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, account, anybody, take_over},
    routing::{at, closed, handle, in_hours, opening_in_an_hour, queued, started},
    routing_steps::{execute, number, plant},
};

frontdesk_testkit::on_both_modes! {
    a5_a6_many_places_are_used_by_few_calls_and_the_oldest_conversations_get_them,
    a5_a_conversation_service_of_the_release_before_is_asked_for_each_change,
    a5_a_change_that_is_not_decided_is_asked_for_alone_and_holds_up_no_other_one,
    a5_an_assignment_that_cannot_be_recorded_holds_up_no_other_one,
    a4_a_queue_outside_of_opening_hours_is_looked_at_when_it_opens,
    a6_the_first_event_of_an_account_has_a_row_to_lock_and_asks_for_no_decision,
    a5_a_decision_reserves_places_for_more_conversations_than_one_statement_takes,
    a6_an_account_whose_lock_others_take_in_turn_is_decided_while_other_accounts_are_due,
}

/// This many conversations that wait, each a microsecond longer than the next one.
async fn waiting(service: &Fixture, here: AccountId, policy: &str, count: i64) -> Vec<Uuid> {
    let (mut conversations, mut events) = (Vec::new(), Vec::new());
    for number in 0..count {
        let conversation = service.conversation();
        conversations.push(conversation);
        events.push(started(here, conversation, policy, 5 + number));
    }
    handle(service, &events).await;
    conversations
}

/// Waits until the conversations have an agent, and that is recorded once for each.
async fn until_assigned(service: &Fixture, here: AccountId, conversations: &[Uuid]) {
    for conversation in conversations {
        service.routed(*conversation).await;
        wait_until("the confirmation", || async { service.place(here, *conversation).await == (0, 0) }).await;
        let history = service.history(here, *conversation).await;
        let routed = history.iter().filter(|entry| entry.cause() == AssignmentCause::Routed);
        assert_eq!((service.owner(*conversation).0, routed.count()), (2, 1));
    }
}

async fn a5_a6_many_places_are_used_by_few_calls_and_the_oldest_conversations_get_them(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    // More than are read at a time.
    let conversations = waiting(&service, here, &policy.id, 250).await;
    service.available(here, "ada", 230).await;
    let (assigned, left) = conversations.split_at(230);
    until_assigned(&service, here, assigned).await;
    assert!(left.iter().all(|conversation| service.owner(*conversation) == (1, String::new())));
    assert_eq!(service.place(here, left[19]).await, (20, 20));
    let calls = service.fake.calls::<ChangeAssigneesRequest>();
    assert!((3..=6).contains(&calls), "{calls} calls for 230 conversations");
    assert_eq!(service.fake.calls::<ChangeAssigneeRequest>(), 0);
}

async fn a5_a_conversation_service_of_the_release_before_is_asked_for_each_change(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    service.fake.on(|_: Request<ChangeAssigneesRequest>| -> Result<ChangeAssigneesResponse, Status> {
        Err(Status::unimplemented("it has no such method"))
    });
    let conversations = waiting(&service, here, &policy.id, 30).await;
    let ada = service.available(here, "ada", 30).await;
    until_assigned(&service, here, &conversations).await;
    assert_eq!(load(&service, here, &ada).await, 30);
    assert_eq!(service.fake.calls::<ChangeAssigneeRequest>(), 30);
}

async fn load(service: &Fixture, here: AccountId, agent: &Agent) -> i32 {
    service.status(here, agent).await.open_conversations
}

async fn a5_a_change_that_is_not_decided_is_asked_for_alone_and_holds_up_no_other_one(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let conversations = waiting(&service, here, &policy.id, 3).await;
    let (asked, undecided) = (Arc::new(AtomicUsize::new(0)), conversations[1].to_string());
    let (counter, rows) = (asked.clone(), service.conversations.clone());
    service.fake.on(move |request: Request<ChangeAssigneesRequest>| -> Result<ChangeAssigneesResponse, Status> {
        let results = request.into_inner().changes.into_iter().map(|change| {
            counter.fetch_add(1, Ordering::SeqCst);
            if change.conversation_id == undecided {
                let (conversation_id, outcome) = (change.conversation_id, ChangeAssigneeOutcome::Failed.into());
                return ChangeAssigneeResult { conversation_id, outcome, ..ChangeAssigneeResult::default() };
            }
            rows.change_one(&change)
        });
        Ok(ChangeAssigneesResponse { results: results.collect() })
    });
    let ada = service.available(here, "ada", 3).await;
    until_assigned(&service, here, &conversations).await;
    assert_eq!((load(&service, here, &ada).await, asked.load(Ordering::SeqCst)), (3, 3));
    assert_eq!(service.fake.calls::<ChangeAssigneeRequest>(), 1);
}

async fn a5_an_assignment_that_cannot_be_recorded_holds_up_no_other_one(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let conversations = waiting(&service, here, "", 3).await;
    // The one that cannot be recorded waits at another epoch.
    let stuck = service.conversation();
    service.conversations.with(stuck, |row| row.conversation.epoch = 7);
    let handed_off = |conversation: Uuid, epoch: i32| ConversationHandedOff {
        conversation_id: conversation.to_string(),
        epoch,
        bot_id: new_id().to_string(),
        change_time: Some(frontdesk_clock::Time(9).to_proto()),
        ..ConversationHandedOff::default()
    };
    let mut events = vec![at(here, stuck, 8, &handed_off(stuck, 7))];
    events.extend(conversations.iter().map(|conversation| at(here, *conversation, 3, &handed_off(*conversation, 1))));
    handle(&service, &events).await;
    let planted = plant(&service, "INSERT", "assignments", "WHEN (NEW.epoch = 8)").await;
    let ada = service.available(here, "ada", 4).await;
    until_assigned(&service, here, &conversations).await;
    let reserved = "SELECT count(*) AS number FROM routing_queue WHERE state = 2";
    assert_eq!(number(&service, reserved).await, 1, "its place is kept");
    execute(&service, &planted).await;
    service.clock.advance(Duration::from_secs(6)).unwrap();
    wait_until("the confirmation", || async { number(&service, reserved).await == 0 }).await;
    assert_eq!((service.owner(stuck), load(&service, here, &ada).await), ((8, ada.id.clone()), 4));
}

async fn look_at(service: &Fixture) -> i64 {
    number(service, "SELECT coalesce(max(look_at), 0) AS number FROM routing_accounts").await
}

async fn a4_a_queue_outside_of_opening_hours_is_looked_at_when_it_opens(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let hours = opening_in_an_hour(&service, here).await;
    let policy = service.policy(here, "Hours", in_hours(hours, OutsideOpeningHours::Wait)).await;
    let conversation = queued(&service, here, &policy.id, 5).await;
    let half_an_hour = 1_800_000_000;
    let later = service.db.now().await.unwrap().0 + half_an_hour;
    wait_until("the decision", || async { look_at(&service).await > later }).await;
    // A conversation in an open queue is looked at again soon.
    let all = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    queued(&service, here, &all.id, 6).await;
    wait_until("another decision", || async { (1..later).contains(&look_at(&service).await) }).await;
    assert_eq!(service.place(here, conversation).await, (1, 1));
}

async fn a6_the_first_event_of_an_account_has_a_row_to_lock_and_asks_for_no_decision(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let conversation = service.conversation();
    // Neither is routed.
    handle(&service, &[started(here, new_id(), "", 5), started(here, conversation, "", 6)]).await;
    let rows = "SELECT count(*) AS number FROM routing_accounts WHERE look_at IS NULL";
    assert_eq!((number(&service, rows).await, look_at(&service).await), (1, 0));
    service.calls_of(here, &ada).take_over_conversation(take_over(conversation, 1, "1")).await.unwrap();
    assert_eq!((number(&service, rows).await, look_at(&service).await), (1, 0));
    // From the first one that waits on it does.
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let waits = queued(&service, here, &policy.id, 7).await;
    let bob = service.available(here, "bob", 1).await;
    assert_eq!(service.routed(waits).await, bob.id);
    let turns = "SELECT max(last_turn) AS number FROM routing_accounts";
    wait_until("the turn", || async { number(&service, turns).await == 1 }).await;
}

/// The id as the database's SQL has it.
pub fn literal(mode: Mode, id: Uuid) -> String {
    match mode {
        Mode::Embedded => format!("X'{}'", id.simple()),
        Mode::Distributed => format!("'{id}'"),
    }
}

async fn a5_a_decision_reserves_places_for_more_conversations_than_one_statement_takes(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.available(here, "ada", 1).await;
    let capacity = Some(AgentCapacity { limit: Some(Limit::Unlimited(Unlimited {})) });
    let unlimited = UpdateAgentRequest { agent_id: ada.id.clone(), capacity, ..UpdateAgentRequest::default() };
    service.roster(here).update_agent(unlimited).await.unwrap();
    // Each queue is read as a whole. Their policies are deleted: the default one decides. A row is 15 parameters, of which one statement takes
    // 32,766 in SQLite and 65,535 in PostgreSQL.
    let (queues, length) = if mode == Mode::Embedded { (23, 99) } else { (45, 99) };
    for _ in 0..queues {
        let (mut rows, policy) = (Vec::new(), literal(mode, new_id()));
        for since in 0..length {
            let (account, conversation) = (literal(mode, here.0), literal(mode, service.conversation()));
            rows.push(format!("({account}, {conversation}, 1, {policy}, {since}, 1, NULL)"));
        }
        let columns = "account_id, conversation_id, epoch, policy_id, waiting_since, state, publish_at";
        execute(&service, &format!("INSERT INTO routing_queue ({columns}) VALUES {}", rows.join(", "))).await;
    }
    execute(&service, "UPDATE routing_accounts SET look_at = 1, last_turn = 0").await;
    let queued = "SELECT count(*) AS number FROM routing_queue";
    wait_until("the assignments", || async { number(&service, queued).await == 0 }).await;
    assert_eq!(load(&service, here, &ada).await, queues * length);
}

/// Locks the row of the account again and again, without a pause between two who do so.
async fn lock_again_and_again(service: &Fixture, here: AccountId) {
    loop {
        let tx = service.db.begin().await.unwrap();
        let lock = format!("SELECT 1 FROM routing_accounts WHERE account_id = '{}' FOR UPDATE", here.0);
        tx.conn().execute_unprepared(&lock).await.unwrap();
        // As long as a transaction has it that does more. The other one waits for the lock meanwhile.
        tokio::time::sleep(Duration::from_millis(20)).await;
        tx.commit().await.unwrap();
    }
}

/// Has routing look at the other accounts again and again.
async fn wake_others_again_and_again(service: &Fixture, here: AccountId) {
    let here = literal(service.mode, here.0);
    loop {
        let now = service.db.now().await.unwrap().0;
        let due = format!("UPDATE routing_accounts SET look_at = {now} WHERE look_at > {now} AND account_id <> {here}");
        execute(service, &due).await;
    }
}

async fn a6_an_account_whose_lock_others_take_in_turn_is_decided_while_other_accounts_are_due(mode: Mode) {
    let service = Fixture::start(mode).await;
    for number in 0..12 {
        let there = account();
        handle(&service, &[started(there, service.conversation(), &new_id().to_string(), 5 + number)]).await;
    }
    let here = account();
    let conversation = queued(&service, here, &new_id().to_string(), 5).await;
    let ada = service.available(here, "ada", 1).await;
    service.routed(conversation).await;
    let next = service.conversation();
    let decided = async {
        let closed = closed(here, conversation, 3);
        handle(&service, &[started(here, next, &new_id().to_string(), 6), closed]).await;
        service.routed(next).await
    };
    // SQLite has no locks of rows.
    let locked = async {
        match mode {
            Mode::Embedded => std::future::pending().await,
            Mode::Distributed => {
                tokio::join!(lock_again_and_again(&service, here), lock_again_and_again(&service, here))
            }
        }
    };
    tokio::select! {
        agent = decided => assert_eq!(agent, ada.id),
        _ = locked => {}
        () = wake_others_again_and_again(&service, here) => {}
    }
}
