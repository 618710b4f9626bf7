use std::sync::{Arc, Mutex, mpsc};

use frontdesk_proto::{
    assignment::v1::{DeactivateAgentRequest, ReactivateAgentRequest},
    conversation::internal::v1::{ApplyAgentRequest, ApplyAgentResponse},
    event::v1::AgentDeactivated,
};
use frontdesk_testkit::{Mode, new_id};
use tokio::task::JoinSet;
use tonic::{Code, Request, Status};

use crate::fixture::{Fixture, account, assign, rejection, take_over, unassign};

frontdesk_testkit::on_both_modes! {
    a2_a_deactivated_agent_stays_known_in_the_history,
    a2_a_deactivation_is_answered_when_the_conversation_service_has_applied_it_and_can_be_repeated,
    a2_a_deactivation_is_in_force_where_the_copy_is_newer_than_the_roster,
    a2_an_agent_who_is_not_active_changes_no_owner,
    c12_a_repeat_gets_the_first_answer_also_after_the_caller_was_deactivated,
    c12_twenty_deactivations_at_once_change_the_agent_once,
    s2_an_agent_of_another_account_is_not_found,
}

async fn a2_a_deactivated_agent_stays_known_in_the_history(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let conversation = service.conversation();
    service.calls_of(here, &ada).take_over_conversation(take_over(conversation, 1, "1")).await.unwrap();
    let deactivate = DeactivateAgentRequest { agent_id: ada.id.clone() };
    let deactivated = service.roster(here).deactivate_agent(deactivate).await.unwrap().into_inner().agent;

    let deactivated = deactivated.unwrap();
    assert_eq!(service.agent_now(here, &ada).await, deactivated);
    assert_eq!((deactivated.deactivate_time, deactivated.version), (deactivated.update_time, 2));
    assert!(deactivated.deactivate_time.is_some());
    let history = service.history(here, conversation).await;
    assert_eq!(history[0].owner.as_ref().unwrap().name, "ADA", "the name stays in the history");
}

async fn a2_a_deactivation_is_answered_when_the_conversation_service_has_applied_it_and_can_be_repeated(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let deactivate = || DeactivateAgentRequest { agent_id: ada.id.clone() };
    service
        .fake
        .on(|_: Request<ApplyAgentRequest>| -> Result<ApplyAgentResponse, _> { Err(Status::unavailable("not now")) });
    for _ in 0..2 {
        let unavailable = service.roster(here).deactivate_agent(deactivate()).await.unwrap_err();
        assert_eq!(rejection(&unavailable), (Code::Unavailable, "CONVERSATION_UNAVAILABLE".into()));
    }
    assert_eq!(service.agent_now(here, &ada).await.version, 2, "deactivated, once");

    let (applied, applies) = mpsc::channel();
    service.fake.on(move |request: Request<ApplyAgentRequest>| {
        applied.send(request.into_inner()).unwrap();
        Ok(ApplyAgentResponse::default())
    });
    service.roster(here).deactivate_agent(deactivate()).await.unwrap();
    let state = ApplyAgentRequest { agent_id: ada.id.clone(), name: ada.name.clone(), active: false, version: 2 };
    assert_eq!(applies.try_recv(), Ok(state.clone()));
    let reactivate = ReactivateAgentRequest { agent_id: ada.id.clone() };
    service.roster(here).reactivate_agent(reactivate).await.unwrap();
    assert_eq!(applies.try_recv(), Ok(ApplyAgentRequest { active: true, version: 3, ..state }));
}

/// A restore of the roster to an older point in time leaves the copy of the conversation service as it was.
async fn a2_a_deactivation_is_in_force_where_the_copy_is_newer_than_the_roster(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let copy = Arc::new(Mutex::new((4, true)));
    let applied = copy.clone();
    service.fake.on(move |request: Request<ApplyAgentRequest>| {
        let (request, mut copy) = (request.into_inner(), applied.lock().unwrap());
        *copy = (*copy).max((request.version, request.active));
        Ok(ApplyAgentResponse { version: copy.0 })
    });
    let deactivate = || DeactivateAgentRequest { agent_id: ada.id.clone() };
    for _ in 0..2 {
        let deactivated = service.roster(here).deactivate_agent(deactivate()).await.unwrap().into_inner().agent;
        assert_eq!(*copy.lock().unwrap(), (5, false));
        assert_eq!(deactivated, Some(service.agent_now(here, &ada).await));
        assert_eq!(deactivated.unwrap().version, 5);
    }
    let events = service.appended::<AgentDeactivated>().await;
    assert_eq!(events.len(), 2, "one for each new version");
    *copy.lock().unwrap() = (7, false);
    let reactivate = ReactivateAgentRequest { agent_id: ada.id.clone() };
    service.roster(here).reactivate_agent(reactivate).await.unwrap();
    assert_eq!(*copy.lock().unwrap(), (8, true));
}

async fn c12_twenty_deactivations_at_once_change_the_agent_once(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let mut deactivations = JoinSet::new();
    for _ in 0..20 {
        let (mut roster, agent_id) = (service.roster(here), ada.id.clone());
        deactivations.spawn(async move { roster.deactivate_agent(DeactivateAgentRequest { agent_id }).await });
    }
    let mut etags: Vec<String> = Vec::new();
    for answer in deactivations.join_all().await {
        etags.push(answer.unwrap().into_inner().agent.unwrap().etag);
    }
    etags.dedup();
    assert_eq!(etags.len(), 1, "one change, one new etag");
    assert_ne!(etags[0], ada.etag);
    assert_eq!(service.appended::<AgentDeactivated>().await.len(), 1);
}

async fn s2_an_agent_of_another_account_is_not_found(mode: Mode) {
    let service = Fixture::start(mode).await;
    let ada = service.agent(account(), "ada").await;
    let deactivate = DeactivateAgentRequest { agent_id: ada.id };
    let foreign = service.roster(account()).deactivate_agent(deactivate).await.unwrap_err();
    assert_eq!(rejection(&foreign), (Code::NotFound, "NOT_FOUND".into()));
}

async fn a2_an_agent_who_is_not_active_changes_no_owner(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, gone) = (service.agent(here, "ada").await, service.agent(here, "gone").await);
    let conversation = service.conversation_of(&ada);
    let deactivate = DeactivateAgentRequest { agent_id: gone.id.clone() };
    service.roster(here).deactivate_agent(deactivate).await.unwrap();
    for (agent, reason) in [(gone.id.parse().unwrap(), "AGENT_DEACTIVATED"), (new_id(), "NOT_ON_ROSTER")] {
        let mut calls = service.assignments(here, agent);
        let rejected = [
            calls.take_over_conversation(take_over(conversation, 1, "1")).await.unwrap_err(),
            calls.assign_conversation(assign(conversation, &ada, 1, "2")).await.unwrap_err(),
            calls.unassign_conversation(unassign(conversation, 1, "3")).await.unwrap_err(),
        ];
        for rejected in rejected {
            assert_eq!(rejection(&rejected), (Code::FailedPrecondition, reason.into()));
            assert!(rejected.message().starts_with("you "), "{rejected}");
        }
    }
    assert_eq!(service.owner(conversation), (1, ada.id));
}

async fn c12_a_repeat_gets_the_first_answer_also_after_the_caller_was_deactivated(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let conversation = service.conversation();
    let mut calls = service.calls_of(here, &bob);
    let assigned = calls.assign_conversation(assign(conversation, &ada, 1, "1")).await.unwrap().into_inner();
    let unassigned = calls.unassign_conversation(unassign(conversation, 2, "2")).await.unwrap().into_inner();
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: bob.id }).await.unwrap();
    // The assignment has ended since.
    let repeated = calls.assign_conversation(assign(conversation, &ada, 1, "1")).await.unwrap().into_inner();
    assert_eq!(repeated.assignment.unwrap().epoch, assigned.assignment.unwrap().epoch);
    let repeated = calls.unassign_conversation(unassign(conversation, 2, "2")).await.unwrap().into_inner();
    assert_eq!(repeated, unassigned);
}
