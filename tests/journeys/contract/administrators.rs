//! What an administrator does is recorded as theirs.

use frontdesk::{Service, connect_databases};
use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::{
        AssignConversationRequest, AssignmentCause, ListAssignmentsRequest,
        assignment_service_client::AssignmentServiceClient,
    },
    conversation::v1::entry::Content,
    event::v1::{AssigneeChanged, Event},
};
use frontdesk_tests::{Account, TestSuite, request_id, wait_for};
use prost_reflect::prost::{Message, Name};
use sea_orm::{ConnectionTrait, Statement};

/// The events of the type `M` that the conversation service appended.
async fn appended<M: Message + Name + Default>(suite: &TestSuite) -> Vec<M> {
    let databases = connect_databases(&suite.settings, &[Service::Conversation], &suite.clock).await.unwrap();
    let db = &databases[0].1;
    let sql = "SELECT event FROM outbox_events ORDER BY position";
    let rows = Statement::from_string(db.read().get_database_backend(), sql);
    let rows = db.read().query_all_raw(rows).await.unwrap();
    let events = rows.iter().map(|row| Event::decode(row.try_get::<Vec<u8>>("", "event").unwrap().as_slice()).unwrap());
    events.filter(|event| event.r#type == M::full_name()).map(|event| frontdesk_bus::decode(&event).unwrap()).collect()
}

#[tokio::test]
async fn a8_an_administrators_assignment_is_theirs_in_the_thread_the_event_and_the_history() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (ada, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let assign = AssignConversationRequest {
        conversation_id: chat.id.clone(),
        agent_id: ada.to_string(),
        expected_epoch: 1,
        request_id: request_id(),
    };
    let admin = account.with_claims(CallerKind::Admin, "administrator", |claims| claims.name = Some("Olga".to_owned()));
    let mut assignments = AssignmentServiceClient::new(admin);
    let assigned = assignments.assign_conversation(assign).await.unwrap().into_inner().assignment.unwrap();
    let is_administrator = |actor: &Option<Actor>, name: &str| {
        let is = |actor: &Actor| (actor.kind(), actor.id.as_str()) == (ActorKind::Admin, "administrator");
        actor.as_ref().is_some_and(|actor| is(actor) && actor.name == name)
    };
    assert!(is_administrator(&assigned.by, "Olga"), "{assigned:?}");

    let thread = Account::thread(&agent, &chat.id).await;
    let entry = thread.last().unwrap();
    let Some(Content::AssigneeChanged(changed)) = &entry.content else { panic!("{entry:?}") };
    assert!(is_administrator(&entry.author, "Olga"), "{entry:?}");
    let owner = changed.new_owner.as_ref().unwrap();
    assert_eq!((owner.id.as_str(), changed.cause()), (ada.to_string().as_str(), AssignmentCause::ByHand));

    let events = appended::<AssigneeChanged>(&suite).await;
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert!(is_administrator(&event.by, ""), "{event:?}");
    assert_eq!(event.cause(), AssignmentCause::ByHand);

    let history = wait_for("the history", || async {
        let request = ListAssignmentsRequest { conversation_id: chat.id.clone(), ..Default::default() };
        let listed = assignments.clone().list_assignments(request).await.ok()?.into_inner().assignments;
        (listed.len() == 2).then_some(listed)
    })
    .await;
    assert!(is_administrator(&history[1].by, "Olga") && history[1].cause() == AssignmentCause::ByHand, "{history:?}");
}
