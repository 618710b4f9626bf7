//! Conversations that wait in queues of routing: in the inbox of a team (rule C9), and as their visitors see it (rules A6, S3).

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use frontdesk_proto::{
    assignment::v1::{GetQueuePlacesRequest, GetQueuePlacesResponse, QueuePlace},
    conversation::v1::{
        AssigneeFilter, ChatQueuePlace, ListConversationsRequest, WatchChatRequest, WatchChatResponse,
        assignee_filter::{Assignee, Unassigned},
        conversation_service_client::ConversationServiceClient,
        watch_chat_response::Update,
    },
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, wait_until};
use tokio::time::timeout;
use tonic::{Request, Status, Streaming};
use uuid::Uuid;

use crate::{
    close_conversation::close,
    fixture::{ADA, BOB, Fixture, message},
};

on_both_modes!(
    c9_the_inbox_of_a_team_has_what_waits_in_its_queues,
    c9_an_event_that_is_older_or_about_an_earlier_epoch_changes_nothing,
    c9_of_many_events_at_once_the_newest_of_each_conversation_stays,
    c9_the_inbox_of_a_team_with_a_queue_is_complete_in_pages_and_has_nothing_twice,
    s2_what_waits_for_a_team_of_another_account_is_not_listed,
    a6_a_visitor_who_waits_sees_about_their_place_until_an_agent_has_the_chat,
    a6_the_places_of_an_account_are_asked_for_in_one_call,
);

/// How long a test waits for what must not come.
const SILENCE: Duration = Duration::from_millis(500);

fn of(assignees: impl IntoIterator<Item = Assignee>) -> ListConversationsRequest {
    let assignees = assignees.into_iter().map(|assignee| AssigneeFilter { assignee: Some(assignee) });
    ListConversationsRequest { assignees: assignees.collect(), ..ListConversationsRequest::default() }
}

fn of_team(team: Uuid) -> ListConversationsRequest {
    of([Assignee::TeamId(team.to_string())])
}

/// Ids of all pages, in their order.
async fn list(fixture: &Fixture, mut request: ListConversationsRequest) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let page = fixture.conversations(ADA).list_conversations(request.clone()).await.unwrap().into_inner();
        ids.extend(page.rows.into_iter().map(|row| row.conversation.unwrap().id));
        if page.next_page_token.is_empty() {
            return ids;
        }
        request.page_token = page.next_page_token;
    }
}

async fn c9_the_inbox_of_a_team_has_what_waits_in_its_queues(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (team, other) = (new_id(), new_id());
    fixture.answer_team(team, &[ADA], 1);
    let of_ada = fixture.chat("a").await.id;
    fixture.post(&of_ada, "hello").await;
    let [waits, elsewhere, closed, taken] = ["w", "e", "c", "t"].map(|visitor| fixture.chat(visitor));
    let (waits, elsewhere) = (waits.await.id, elsewhere.await.id);
    let (closed, taken) = (closed.await.id, taken.await.id);
    for chat in [&waits, &closed, &taken] {
        fixture.handle_queue_changed(chat, 1, 1, true, &[team]).await;
    }
    fixture.handle_queue_changed(&elsewhere, 1, 1, true, &[other]).await;
    assert_eq!(list(&fixture, of_team(team)).await, [&taken, &closed, &waits, &of_ada].map(String::clone));

    // The row knows it before the event comes.
    close(&fixture, &closed).await;
    fixture.threads(BOB).post_message(message(&taken, "hello")).await.unwrap();
    assert_eq!(list(&fixture, of_team(team)).await, [&waits, &of_ada].map(String::clone));
    // Routing widens, and the chat leaves routing.
    fixture.handle_queue_changed(&elsewhere, 2, 1, true, &[other, team]).await;
    assert_eq!(list(&fixture, of_team(team)).await, [&elsewhere, &waits, &of_ada].map(String::clone));
    fixture.handle_queue_changed(&waits, 2, 1, false, &[]).await;
    assert_eq!(list(&fixture, of_team(team)).await, [&elsewhere, &of_ada].map(String::clone));
}

async fn c9_an_event_that_is_older_or_about_an_earlier_epoch_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (team, other) = (new_id(), new_id());
    fixture.answer_team(team, &[], 1);
    let chat = fixture.chat("v").await.id;
    fixture.handle_queue_changed(&chat, 3, 1, true, &[team]).await;
    for (version, teams) in [(3, &[other][..]), (2, &[][..]), (1, &[other, team][..])] {
        fixture.handle_queue_changed(&chat, version, 1, true, teams).await;
        assert_eq!(list(&fixture, of_team(team)).await, [chat.as_str()], "version {version}");
    }
    fixture.handle_queue_changed(&chat, 4, 2, true, &[team]).await;
    assert!(list(&fixture, of_team(team)).await.is_empty(), "an epoch that has not begun");
    fixture.assign_ada(&chat, 1).await;
    assert!(list(&fixture, of_team(team)).await.is_empty(), "she is no member");
}

async fn c9_of_many_events_at_once_the_newest_of_each_conversation_stays(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (team, other) = (new_id(), new_id());
    fixture.answer_team(team, &[], 1);
    let (mut events, mut of_the_team) = (Vec::new(), Vec::new());
    for number in 0..40 {
        let chat = fixture.chat(&format!("v{number}")).await.id;
        let waits = number % 2 == 0;
        let newest = if waits { vec![team, other] } else { vec![other] };
        events.push(fixture.queue_changed(&chat, 3, 1, true, &newest));
        events.push(fixture.queue_changed(&chat, 1, 1, true, &[team]));
        events.push(fixture.queue_changed(&chat, 2, 1, false, &[]));
        if waits {
            of_the_team.insert(0, chat);
        }
    }
    for _ in 0..2 {
        assert!(fixture.service.bus.publish(&events).await.iter().all(Result::is_ok));
        fixture.service.settled().await;
        assert_eq!(list(&fixture, of_team(team)).await, of_the_team);
        events.iter_mut().for_each(|event| event.id = new_id().to_string());
    }
}

async fn c9_the_inbox_of_a_team_with_a_queue_is_complete_in_pages_and_has_nothing_twice(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let team = new_id();
    fixture.answer_team(team, &[ADA, BOB], 1);
    let mut newest_first = Vec::new();
    for number in 0..7 {
        let chat = fixture.chat(&format!("v{number}")).await.id;
        match number % 3 {
            0 => fixture.handle_queue_changed(&chat, 1, 1, true, &[team]).await,
            1 => drop(fixture.post(&chat, "hello").await),
            _ => drop(fixture.threads(BOB).post_message(message(&chat, "hello")).await.unwrap()),
        }
        newest_first.insert(0, chat);
    }
    let pages = ListConversationsRequest { page_size: 2, ..of_team(team) };
    assert_eq!(list(&fixture, pages).await, newest_first);
    let with_unassigned = of([Assignee::TeamId(team.to_string()), Assignee::Unassigned(Unassigned {})]);
    assert_eq!(list(&fixture, with_unassigned).await, newest_first);
}

async fn s2_what_waits_for_a_team_of_another_account_is_not_listed(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let team = new_id();
    fixture.answer_team(team, &[], 1);
    let chat = fixture.chat("v").await.id;
    fixture.handle_queue_changed(&chat, 1, 1, true, &[team]).await;
    assert_eq!(list(&fixture, of_team(team)).await, [chat.as_str()]);
    let mut others = ConversationServiceClient::new(fixture.in_another_account().as_admin());
    let listed = others.list_conversations(of_team(team)).await.unwrap().into_inner();
    assert!(listed.rows.is_empty());
}

/// The assignment service answers that every chat has the place in `place`; returns how many chats each call was about.
fn answer_places(fixture: &Fixture, place: &Arc<AtomicI32>) -> Arc<Mutex<Vec<usize>>> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (place, calls) = (place.clone(), asked.clone());
    fixture.service.fake.on(move |request: Request<GetQueuePlacesRequest>| -> Result<GetQueuePlacesResponse, Status> {
        let ids = request.into_inner().conversation_ids;
        calls.lock().unwrap().push(ids.len());
        let places = ids.into_iter().map(|conversation_id| QueuePlace {
            conversation_id,
            place: place.load(Ordering::SeqCst),
            waiting: 40,
            expected_wait: Some(prost_types::Duration { seconds: 61, nanos: 0 }),
        });
        Ok(GetQueuePlacesResponse { places: places.collect() })
    });
    asked
}

/// A watch of the chat that is caught up.
/// A watch of the chat after what it begins with.
async fn watch(fixture: &Fixture, visitor: &str, chat: &str) -> Streaming<WatchChatResponse> {
    let request = WatchChatRequest { chat_id: chat.into(), after_visitor_sequence: 0 };
    let mut updates = fixture.chats(visitor).watch_chat(request).await.unwrap().into_inner();
    while !matches!(next(&mut updates).await, Update::TeamMarks(_)) {}
    updates
}

async fn next(updates: &mut Streaming<WatchChatResponse>) -> Update {
    timeout(Duration::from_secs(30), updates.message()).await.expect("an update").unwrap().unwrap().update.unwrap()
}

/// The next place that the visitor is shown.
async fn next_place(updates: &mut Streaming<WatchChatResponse>) -> ChatQueuePlace {
    loop {
        if let Update::QueuePlace(place) = next(updates).await {
            return place;
        }
    }
}

fn about(about_place: i32) -> ChatQueuePlace {
    ChatQueuePlace { about_place, about_wait: Some(prost_types::Duration { seconds: 120, nanos: 0 }) }
}

async fn a6_a_visitor_who_waits_sees_about_their_place_until_an_agent_has_the_chat(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let place = Arc::new(AtomicI32::new(12));
    let asked = answer_places(&fixture, &place);
    let chat = fixture.chat("v").await.id;
    let mut visitor = watch(&fixture, "v", &chat).await;
    assert!(timeout(SILENCE, visitor.message()).await.is_err(), "it does not wait");
    assert!(asked.lock().unwrap().is_empty());
    fixture.handle_queue_changed(&chat, 1, 1, true, &[new_id()]).await;
    assert_eq!(next_place(&mut visitor).await, about(15));
    // A further watch begins with what is known.
    let mut again = watch(&fixture, "v", &chat).await;
    assert_eq!(next_place(&mut again).await, about(15));
    place.store(3, Ordering::SeqCst);
    assert_eq!(next_place(&mut visitor).await, about(3));
    fixture.assign_ada(&chat, 1).await;
    for updates in [&mut visitor, &mut again] {
        let mut last = next_place(updates).await;
        while last.about_place > 0 {
            last = next_place(updates).await;
        }
        assert_eq!(last, ChatQueuePlace::default());
    }
    let before = asked.lock().unwrap().len();
    let mut later = watch(&fixture, "v", &chat).await;
    assert_eq!(next_place(&mut later).await, ChatQueuePlace::default(), "what the other watches know");
    assert_eq!(asked.lock().unwrap().len(), before, "nobody asks for a chat that does not wait");
}

async fn a6_the_places_of_an_account_are_asked_for_in_one_call(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = answer_places(&fixture, &Arc::new(AtomicI32::new(1)));
    let mut watches = Vec::new();
    for visitor in ["a", "b", "c"] {
        let chat = fixture.chat(visitor).await.id;
        fixture.handle_queue_changed(&chat, 1, 1, true, &[]).await;
        watches.push(watch(&fixture, visitor, &chat).await);
    }
    for updates in &mut watches {
        assert_eq!(next_place(updates).await, about(1));
    }
    wait_until("a call about all of them", || async { asked.lock().unwrap().contains(&3) }).await;
    let silent = timeout(SILENCE, watches[0].message()).await;
    assert!(silent.is_err(), "the place is the same: {silent:?}");
}
