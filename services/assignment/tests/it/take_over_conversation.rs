use frontdesk_proto::assignment::v1::{AssignmentCause, DeactivateAgentRequest, GetAssignmentRequest};
use frontdesk_testkit::Mode;
use tokio::task::JoinSet;
use tonic::Code;

use crate::fixture::{Fixture, account, rejection, take_over};

frontdesk_testkit::on_both_modes! {
    a3_an_agent_takes_over_and_a_repeat_changes_nothing,
    a1_twenty_agents_take_over_and_one_wins,
    a2_only_active_agents_of_the_roster_take_over,
    c12_a_rejected_request_may_be_repeated_under_its_id,
    an_unavailable_conversation_service_is_reported_and_nothing_is_recorded,
}

async fn a3_an_agent_takes_over_and_a_repeat_changes_nothing(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let conversation = service.conversation_of(&bob);
    let mut calls = service.calls_of(here, &ada);
    let first = calls.take_over_conversation(take_over(conversation, 1, "1")).await.unwrap().into_inner();
    let repeat = calls.take_over_conversation(take_over(conversation, 1, "1")).await.unwrap().into_inner();
    assert_eq!(first, repeat);
    assert_eq!(service.owner(conversation), (2, ada.id));
    let get = GetAssignmentRequest { conversation_id: conversation.to_string() };
    assert_eq!(calls.get_assignment(get).await.unwrap().into_inner().assignment, first.assignment);
}

async fn a1_twenty_agents_take_over_and_one_wins(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, conversation) = (account(), service.conversation());
    let mut takes = JoinSet::new();
    for number in 0..20 {
        let agent = service.agent(here, &format!("agent{number}")).await;
        let mut calls = service.calls_of(here, &agent);
        takes.spawn(async move { calls.take_over_conversation(take_over(conversation, 1, "mine")).await });
    }
    let (won, lost): (Vec<_>, Vec<_>) = takes.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 19));
    for lost in lost {
        let rejected = (Code::Aborted, "OWNERSHIP_CHANGED".into());
        assert_eq!(rejection(&lost.unwrap_err()), rejected, "passed on as the row rejected it");
    }
    let assignment = won.into_iter().next().unwrap().unwrap().into_inner().assignment.unwrap();
    let owner = assignment.owner.clone().unwrap();
    assert_eq!(service.owner(conversation), (2, owner.id.clone()));
    assert!(owner.name.starts_with("AGENT"), "names come from the roster");
    assert_eq!((assignment.epoch, assignment.cause()), (2, AssignmentCause::ByHand));
    assert_eq!(service.history(here, conversation).await, [assignment]);
}

async fn a2_only_active_agents_of_the_roster_take_over(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let (bob, foreign) = (service.agent(here, "bob").await, service.agent(there, "zed").await);
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: bob.id.clone() }).await.unwrap();
    let conversation = service.conversation();

    let deactivated = service.calls_of(here, &bob).take_over_conversation(take_over(conversation, 1, "1")).await;
    assert_eq!(rejection(&deactivated.unwrap_err()), (Code::FailedPrecondition, "AGENT_DEACTIVATED".into()));
    let of_another_account =
        service.calls_of(here, &foreign).take_over_conversation(take_over(conversation, 1, "2")).await;
    assert_eq!(rejection(&of_another_account.unwrap_err()), (Code::FailedPrecondition, "NOT_ON_ROSTER".into()));
    assert_eq!(service.owner(conversation).0, 1, "nothing reached the row");
}

async fn c12_a_rejected_request_may_be_repeated_under_its_id(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let conversation = service.conversation();
    let mut calls = service.calls_of(here, &ada);
    let early = calls.take_over_conversation(take_over(conversation, 2, "x")).await.unwrap_err();
    assert_eq!(rejection(&early).1, "OWNERSHIP_CHANGED");
    calls.take_over_conversation(take_over(conversation, 1, "x")).await.unwrap();
}

async fn an_unavailable_conversation_service_is_reported_and_nothing_is_recorded(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let conversation = service.conversation();
    service.fail_changes_of_owner();
    let mut calls = service.calls_of(here, &ada);
    let unavailable = calls.take_over_conversation(take_over(conversation, 1, "1")).await.unwrap_err();
    assert_eq!(rejection(&unavailable), (Code::Unavailable, "CONVERSATION_UNAVAILABLE".into()));
    assert!(service.history(here, conversation).await.is_empty());
    service.conversations.serve_by(&service.fake);
    calls.take_over_conversation(take_over(conversation, 1, "1")).await.unwrap();
}
