use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use frontdesk_auth::CallerKind;
use frontdesk_clock::Time;
use frontdesk_proto::{
    actor::v1::ActorKind,
    assignment::v1::{
        AssignmentCause, DeactivateAgentRequest, GetAssignmentRequest,
        assignment_service_client::AssignmentServiceClient,
    },
    conversation::internal::v1::{ChangeAssigneeRequest, ChangeAssigneeResponse},
    event::v1::ConversationReopened,
};
use frontdesk_testkit::{Mode, new_id, refused};
use tokio::task::JoinSet;
use tonic::{Code, Request, Status};

use crate::fixture::{Fixture, account, assign, rejection, take_over, unassign};

frontdesk_testkit::on_both_modes! {
    a8_an_assignment_is_answered_and_can_be_read_at_once,
    a8_a_change_by_an_administrator_is_asked_and_recorded_in_their_name,
    a8_the_history_has_the_newest_name_of_an_administrator,
    a1_an_old_epoch_is_rejected_as_the_row_rejects_it,
    a1_assigning_to_the_owner_changes_nothing,
    a1_assigning_to_an_owner_that_the_history_does_not_know_yet_records_nothing,
    a2_only_active_agents_of_the_roster_get_conversations,
    a2_an_agent_who_is_deactivated_meanwhile_is_refused_by_the_row,
    c12_a_repeat_gets_the_first_answer_also_after_others_took_it_and_other_content_is_refused,
    c12_a_repeat_gets_the_first_answer_also_after_the_agent_was_deactivated,
    c12_twenty_repeats_at_once_change_the_owner_once,
    s2_a_conversation_of_another_account_is_not_found_and_nothing_is_recorded,
}

async fn a8_an_assignment_is_answered_and_can_be_read_at_once(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let conversation = service.conversation();
    let mut calls = service.calls_of(here, &ada);
    let answer = calls.assign_conversation(assign(conversation, &bob, 1, "1")).await.unwrap().into_inner();
    let assignment = answer.assignment.unwrap();

    let (owner, by) = (assignment.owner.clone().unwrap(), assignment.by.clone().unwrap());
    assert_eq!((owner.kind(), &owner.id, owner.name.as_str()), (ActorKind::Agent, &bob.id, "BOB"));
    assert_eq!((by.kind(), &by.id, by.name.as_str()), (ActorKind::Agent, &ada.id, "ADA"));
    assert_eq!((assignment.epoch, assignment.cause()), (2, AssignmentCause::ByHand));
    assert!(assignment.start_time.is_some() && assignment.end_time.is_none());
    let get = GetAssignmentRequest { conversation_id: conversation.to_string() };
    assert_eq!(calls.get_assignment(get).await.unwrap().into_inner().assignment, Some(assignment.clone()));
    assert_eq!(service.history(here, conversation).await, [assignment]);
}

async fn a8_a_change_by_an_administrator_is_asked_and_recorded_in_their_name(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let asked_by = Arc::new(Mutex::new(Vec::new()));
    let (actors, row) = (
        asked_by.clone(),
        ChangeAssigneeResponse { epoch: 2, change_time: Some(Time(20).to_proto()), ..Default::default() },
    );
    service.fake.on(move |request: Request<ChangeAssigneeRequest>| -> Result<ChangeAssigneeResponse, Status> {
        let actor = request.metadata().get("x-frontdesk-actor").unwrap().to_str().unwrap().to_owned();
        actors.lock().unwrap().push(actor);
        Ok(row.clone())
    });

    let (conversation, mut admin) = (service.conversation(), service.calls_of_admin(here, "root@acme"));
    let answer = admin.assign_conversation(assign(conversation, &ada, 1, "1")).await.unwrap().into_inner();
    let assignment = answer.assignment.unwrap();
    let by = assignment.by.clone().unwrap();
    assert_eq!((by.kind(), by.id.as_str(), by.name.as_str()), (ActorKind::Admin, "root@acme", ""));
    assert_eq!(service.history(here, conversation).await, [assignment]);
    assert_eq!(*asked_by.lock().unwrap(), ["admin:root@acme"]);
}

async fn a8_the_history_has_the_newest_name_of_an_administrator(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let (ada, zed) = (service.agent(here, "ada").await, service.agent(there, "zed").await);
    let names = Arc::new(Mutex::new(Vec::new()));
    let (asked, rows) = (names.clone(), service.conversations.clone());
    service.fake.on(move |request: Request<ChangeAssigneeRequest>| -> Result<ChangeAssigneeResponse, Status> {
        let request = request.into_inner();
        let result = rows.change_one(&request);
        asked.lock().unwrap().push(request.administrator_name);
        Ok(ChangeAssigneeResponse { epoch: result.epoch, change_time: result.change_time, ..Default::default() })
    });
    let admin = |account, name: &str| {
        let named = |claims: &mut frontdesk_auth::Claims| claims.name = Some(name.to_owned());
        AssignmentServiceClient::new(service.calls_with(account, CallerKind::Admin, "root", named))
    };
    let conversation = service.conversation();
    let first = admin(here, "Olga").assign_conversation(assign(conversation, &ada, 1, "1")).await.unwrap();
    assert_eq!(first.into_inner().assignment.unwrap().by.unwrap().name, "Olga");
    let newer = admin(here, " Olga\tZ ").unassign_conversation(unassign(conversation, 2, "2")).await.unwrap();
    assert_eq!(newer.into_inner().assignment.unwrap().by.unwrap().name, "Olga Z");
    // A mail address is no name that others see, and replaces none.
    admin(here, "olga@shop.example").assign_conversation(assign(conversation, &ada, 3, "3")).await.unwrap();
    let elsewhere = service.conversation();
    admin(there, "Zoe").assign_conversation(assign(elsewhere, &zed, 1, "1")).await.unwrap();
    let history = service.history(here, conversation).await;
    let by: Vec<_> = history.iter().map(|assignment| assignment.by.as_ref().unwrap().name.as_str()).collect();
    assert_eq!(by, ["Olga Z"; 3]);
    let get = GetAssignmentRequest { conversation_id: conversation.to_string() };
    let now = admin(here, "Olga").get_assignment(get).await.unwrap().into_inner().assignment.unwrap();
    assert_eq!(now.by.unwrap().name, "Olga Z");
    assert_eq!(service.history(there, elsewhere).await[0].by.as_ref().unwrap().name, "Zoe");
    assert_eq!(*names.lock().unwrap(), ["Olga", "Olga Z", "", "Zoe"]);
}

async fn a1_an_old_epoch_is_rejected_as_the_row_rejects_it(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let conversation = service.conversation();
    let mut calls = service.calls_of(here, &ada);
    calls.assign_conversation(assign(conversation, &ada, 1, "1")).await.unwrap();
    let late = calls.assign_conversation(assign(conversation, &bob, 1, "2")).await.unwrap_err();
    assert_eq!(rejection(&late), (Code::Aborted, "OWNERSHIP_CHANGED".into()));
    assert_eq!(service.history(here, conversation).await.len(), 1);
}

async fn a1_assigning_to_the_owner_changes_nothing(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let conversation = service.conversation();
    let first = service.calls_of(here, &ada).take_over_conversation(take_over(conversation, 1, "1")).await.unwrap();
    let again = service.calls_of(here, &bob).assign_conversation(assign(conversation, &ada, 2, "2")).await.unwrap();
    assert_eq!(again.into_inner().assignment, first.into_inner().assignment, "the one who took it is still named");
    assert_eq!(service.owner(conversation), (2, ada.id));
    assert_eq!(service.history(here, conversation).await.len(), 1);
}

async fn a1_assigning_to_an_owner_that_the_history_does_not_know_yet_records_nothing(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let conversation = service.conversation_of(&ada);
    let mut calls = service.calls_of(here, &bob);
    let answer = calls.assign_conversation(assign(conversation, &ada, 1, "1")).await.unwrap().into_inner();
    let assignment = answer.assignment.unwrap();
    assert_eq!((assignment.epoch, assignment.owner.unwrap().name.as_str()), (1, "ADA"));
    assert_eq!((assignment.by, assignment.start_time), (None, None), "who began the epoch is not known yet");
    assert!(service.history(here, conversation).await.is_empty());

    let reopened = ConversationReopened {
        conversation_id: conversation.to_string(),
        epoch: 1,
        by: Some(frontdesk_proto::actor::v1::Actor {
            kind: ActorKind::Agent.into(),
            id: ada.id.clone(),
            name: String::new(),
        }),
        reopen_time: Some(Time(5).to_proto()),
        ..ConversationReopened::default()
    };
    service.publish("conversation", here, &reopened).await;
    service.settled().await;
    let repeat = calls.assign_conversation(assign(conversation, &ada, 1, "1")).await.unwrap().into_inner();
    assert_eq!(repeat.assignment.unwrap().cause(), AssignmentCause::Reopened);
}

async fn a2_only_active_agents_of_the_roster_get_conversations(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let foreign = service.agent(there, "zed").await;
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: bob.id.clone() }).await.unwrap();
    let conversation = service.conversation();
    let mut calls = service.calls_of(here, &ada);

    let to_bob = calls.assign_conversation(assign(conversation, &bob, 1, "1")).await.unwrap_err();
    assert_eq!(rejection(&to_bob), (Code::FailedPrecondition, "AGENT_DEACTIVATED".into()));
    let to_foreign = calls.assign_conversation(assign(conversation, &foreign, 1, "2")).await.unwrap_err();
    assert_eq!(rejection(&to_foreign), (Code::NotFound, "NOT_FOUND".into()));
    assert_eq!(service.owner(conversation).0, 1, "nothing reached the row");
}

async fn a2_an_agent_who_is_deactivated_meanwhile_is_refused_by_the_row(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    // The row knows of a deactivation that came after the roster was read.
    let version = bob.version;
    service.fake.on(move |request: Request<ChangeAssigneeRequest>| -> Result<ChangeAssigneeResponse, Status> {
        assert_eq!(request.get_ref().agent_version, version);
        Err(refused(Code::FailedPrecondition, "AGENT_NOT_ACTIVE", []))
    });
    let assign = assign(service.conversation(), &bob, 1, "1");
    let refused = service.calls_of(here, &ada).assign_conversation(assign).await.unwrap_err();
    assert_eq!(rejection(&refused), (Code::FailedPrecondition, "AGENT_DEACTIVATED".into()));
}

async fn c12_a_repeat_gets_the_first_answer_also_after_others_took_it_and_other_content_is_refused(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let conversation = service.conversation();
    let mut calls = service.calls_of(here, &ada);
    let first = calls.assign_conversation(assign(conversation, &ada, 1, "x")).await.unwrap().into_inner();
    calls.assign_conversation(assign(conversation, &bob, 2, "y")).await.unwrap();
    let repeat = calls.assign_conversation(assign(conversation, &ada, 1, "x")).await.unwrap().into_inner();
    assert_eq!(first, repeat);
    let other = calls.assign_conversation(assign(conversation, &bob, 1, "x")).await.unwrap_err();
    assert_eq!(rejection(&other), (Code::FailedPrecondition, "REQUEST_ID_REUSED".into()));
    assert_eq!(service.owner(conversation), (3, bob.id));
}

async fn c12_a_repeat_gets_the_first_answer_also_after_the_agent_was_deactivated(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let mut calls = service.calls_of(here, &ada);
    let (given, taken) = (service.conversation(), service.conversation());
    let assigned = calls.assign_conversation(assign(given, &bob, 1, "a")).await.unwrap().into_inner();
    let took = calls.take_over_conversation(take_over(taken, 1, "t")).await.unwrap().into_inner();
    for agent in [&ada, &bob] {
        service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: agent.id.clone() }).await.unwrap();
    }
    // The repeat does not need the row.
    service.fail_changes_of_owner();

    assert_eq!(calls.assign_conversation(assign(given, &bob, 1, "a")).await.unwrap().into_inner(), assigned);
    assert_eq!(calls.take_over_conversation(take_over(taken, 1, "t")).await.unwrap().into_inner(), took);
    let other = calls.assign_conversation(assign(given, &bob, 2, "a")).await.unwrap_err();
    assert_eq!(rejection(&other).1, "REQUEST_ID_REUSED");
    let new = calls.assign_conversation(assign(given, &bob, 2, "b")).await.unwrap_err();
    assert_eq!(rejection(&new).1, "AGENT_DEACTIVATED");
}

async fn c12_twenty_repeats_at_once_change_the_owner_once(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let conversation = service.conversation();
    let mut repeats = JoinSet::new();
    for _ in 0..20 {
        let (mut calls, request) = (service.calls_of(here, &ada), assign(conversation, &ada, 1, "once"));
        repeats.spawn(async move { calls.assign_conversation(request).await });
    }
    let answers = repeats.join_all().await.into_iter().map(|answer| answer.unwrap().into_inner().assignment.unwrap());
    assert_eq!(answers.map(|assignment| format!("{assignment:?}")).collect::<HashSet<_>>().len(), 1);
    assert_eq!(service.owner(conversation), (2, ada.id));
    assert_eq!(service.history(here, conversation).await.len(), 1);
}

async fn s2_a_conversation_of_another_account_is_not_found_and_nothing_is_recorded(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let (absent, mut calls) = (new_id(), service.calls_of(here, &ada));
    let rejected = calls.assign_conversation(assign(absent, &ada, 1, "1")).await.unwrap_err();
    assert_eq!(rejection(&rejected), (Code::NotFound, "NOT_FOUND".into()), "as the conversation service answers it");
    assert!(service.history(here, absent).await.is_empty());
}
