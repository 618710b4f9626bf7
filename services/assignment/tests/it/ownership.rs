use std::sync::atomic::Ordering;

use frontdesk_proto::assignment::v1::{
    AssignConversationRequest, AssignmentCause, DeactivateAgentRequest, GetAssignmentRequest, ListAssignmentsRequest,
    OwnerKind, TakeOverConversationRequest, UnassignConversationRequest,
};
use tokio::task::JoinSet;
use tonic::Code;
use uuid::Uuid;

use crate::suite::{Suite, account, reason};

fn take(conversation: Uuid, expected_epoch: i64, request_id: &str) -> TakeOverConversationRequest {
    let (conversation_id, request_id) = (conversation.to_string(), request_id.into());
    TakeOverConversationRequest { conversation_id, expected_epoch, request_id }
}

fn assign(conversation: Uuid, agent: &str, expected_epoch: i64, request_id: &str) -> AssignConversationRequest {
    AssignConversationRequest {
        conversation_id: conversation.to_string(),
        agent_id: agent.into(),
        expected_epoch,
        request_id: request_id.into(),
    }
}

#[tokio::test]
async fn a1_twenty_agents_take_over_and_one_wins() {
    let suite = Suite::start().await;
    let (here, conversation) = (account(), suite.arbiter.open());
    let mut takes = JoinSet::new();
    for number in 0..20 {
        let agent: Uuid = suite.agent(here, &format!("agent{number}")).await.id.parse().unwrap();
        let mut calls = suite.assignments(here, agent);
        takes.spawn(async move { calls.take_over_conversation(take(conversation, 1, "mine")).await });
    }
    let (won, lost): (Vec<_>, Vec<_>) = takes.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 19));
    for refusal in lost {
        let status = refusal.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Aborted, "OWNERSHIP_CHANGED"),
            "passed on as it was"
        );
    }
    let stretch = won.into_iter().next().unwrap().unwrap().into_inner().assignment.unwrap();
    let owner = stretch.owner.clone().unwrap();
    assert_eq!(suite.arbiter.owner(conversation), (2, owner.id.clone()));
    assert!(owner.name.starts_with("AGENT"), "names come from the roster");
    assert_eq!((stretch.epoch, stretch.cause()), (2, AssignmentCause::ByHand));
}

#[tokio::test]
async fn a2_only_agents_of_the_roster_who_are_active_get_conversations() {
    let suite = Suite::start().await;
    let (here, there) = (account(), account());
    let ada = suite.agent(here, "ada").await;
    let bob = suite.agent(here, "bob").await;
    let foreign = suite.agent(there, "zed").await;
    suite.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: bob.id.clone() }).await.unwrap();
    let conversation = suite.arbiter.open();
    let mut calls = suite.assignments(here, ada.id.parse().unwrap());

    let to_bob = calls.assign_conversation(assign(conversation, &bob.id, 1, "1")).await.unwrap_err();
    assert_eq!((to_bob.code(), reason(&to_bob).as_str()), (Code::FailedPrecondition, "AGENT_DEACTIVATED"));
    let to_foreign = calls.assign_conversation(assign(conversation, &foreign.id, 1, "2")).await.unwrap_err();
    assert_eq!(to_foreign.code(), Code::NotFound);
    let stranger = suite.assignments(here, frontdesk_clock::testing::new_id());
    let stranger = stranger.clone().take_over_conversation(take(conversation, 1, "3")).await.unwrap_err();
    assert_eq!((stranger.code(), reason(&stranger).as_str()), (Code::FailedPrecondition, "NOT_ON_ROSTER"));
    assert_eq!(suite.arbiter.owner(conversation).0, 1, "nothing reached the row");
}

#[tokio::test]
async fn c12_a_repeat_gets_the_first_answer_also_after_others_took_it_and_other_content_is_refused() {
    let suite = Suite::start().await;
    let here = account();
    let (ada, bob) = (suite.agent(here, "ada").await, suite.agent(here, "bob").await);
    let conversation = suite.arbiter.open();
    let mut calls = suite.assignments(here, ada.id.parse().unwrap());
    let first = calls.assign_conversation(assign(conversation, &ada.id, 1, "x")).await.unwrap().into_inner();
    calls.assign_conversation(assign(conversation, &bob.id, 2, "y")).await.unwrap();
    let repeat = calls.assign_conversation(assign(conversation, &ada.id, 1, "x")).await.unwrap().into_inner();
    let (first, repeat) = (first.assignment.unwrap(), repeat.assignment.unwrap());
    assert_eq!((first.epoch, &first.owner), (repeat.epoch, &repeat.owner));
    let other = calls.assign_conversation(assign(conversation, &bob.id, 1, "x")).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
    assert_eq!(suite.arbiter.owner(conversation), (3, bob.id));
}

#[tokio::test]
async fn c12_a_repeat_gets_the_first_answer_also_after_the_agent_was_deactivated() {
    let suite = Suite::start().await;
    let here = account();
    let (ada, bob) = (suite.agent(here, "ada").await, suite.agent(here, "bob").await);
    let mut calls = suite.assignments(here, ada.id.parse().unwrap());
    let (given, taken) = (suite.arbiter.open(), suite.arbiter.open());
    let to_bob = assign(given, &bob.id, 1, "a");
    let assigned = calls.assign_conversation(to_bob.clone()).await.unwrap().into_inner();
    let took = calls.take_over_conversation(take(taken, 1, "t")).await.unwrap().into_inner();
    for agent in [&ada, &bob] {
        suite.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: agent.id.clone() }).await.unwrap();
    }
    // The repeat does not need the row.
    suite.arbiter.failing.store(usize::MAX, Ordering::SeqCst);

    assert_eq!(calls.assign_conversation(to_bob).await.unwrap().into_inner(), assigned);
    assert_eq!(calls.take_over_conversation(take(taken, 1, "t")).await.unwrap().into_inner(), took);
    let other = calls.assign_conversation(assign(given, &bob.id, 2, "a")).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
    let new = calls.assign_conversation(assign(given, &bob.id, 2, "b")).await.unwrap_err();
    assert_eq!(reason(&new), "AGENT_DEACTIVATED");
}

#[tokio::test]
async fn c12_what_was_refused_may_be_asked_again_under_its_id() {
    let suite = Suite::start().await;
    let here = account();
    let ada = suite.agent(here, "ada").await;
    let conversation = suite.arbiter.open();
    let mut calls = suite.assignments(here, ada.id.parse().unwrap());
    let early = calls.take_over_conversation(take(conversation, 2, "x")).await.unwrap_err();
    assert_eq!(reason(&early), "OWNERSHIP_CHANGED");
    calls.take_over_conversation(take(conversation, 1, "x")).await.unwrap();
}

#[tokio::test]
async fn a8_the_history_says_who_from_when_to_when_by_whom_and_why() {
    let suite = Suite::start().await;
    let here = account();
    let (ada, bob) = (suite.agent(here, "ada").await, suite.agent(here, "bob").await);
    let conversation = suite.arbiter.open();
    let mut calls = suite.assignments(here, ada.id.parse().unwrap());
    calls.take_over_conversation(take(conversation, 1, "1")).await.unwrap();
    calls.assign_conversation(assign(conversation, &bob.id, 2, "2")).await.unwrap();
    let leave = UnassignConversationRequest {
        conversation_id: conversation.to_string(),
        expected_epoch: 3,
        request_id: "3".into(),
    };
    calls.unassign_conversation(leave).await.unwrap();

    let request = ListAssignmentsRequest { conversation_id: conversation.to_string() };
    let history = calls.list_assignments(request.clone()).await.unwrap().into_inner().assignments;
    let lines: Vec<_> = history.iter().map(|line| (line.epoch, line.owner.as_ref().unwrap().name.as_str())).collect();
    assert_eq!(lines, [(2, "ADA"), (3, "BOB"), (4, "")]);
    assert_eq!(history[0].end_time, history[1].start_time);
    assert!(history.iter().all(|line| line.by.as_ref().unwrap().name == "ADA"));
    let get = GetAssignmentRequest { conversation_id: conversation.to_string() };
    let now = calls.get_assignment(get.clone()).await.unwrap().into_inner().assignment.unwrap();
    assert_eq!((now.owner.unwrap().kind(), now.end_time), (OwnerKind::Unspecified, None));

    let there = account();
    let zed = suite.agent(there, "zed").await;
    let mut foreign = suite.assignments(there, zed.id.parse().unwrap());
    assert_eq!(foreign.get_assignment(get).await.unwrap_err().code(), Code::NotFound);
    assert!(foreign.list_assignments(request).await.unwrap().into_inner().assignments.is_empty());
}

#[tokio::test]
async fn a_conversation_service_that_is_away_is_said_so_and_nothing_is_recorded() {
    let suite = Suite::start().await;
    let here = account();
    let ada = suite.agent(here, "ada").await;
    let conversation = suite.arbiter.open();
    suite.arbiter.failing.store(1, Ordering::SeqCst);
    let mut calls = suite.assignments(here, ada.id.parse().unwrap());
    let away = calls.take_over_conversation(take(conversation, 1, "1")).await.unwrap_err();
    assert_eq!((away.code(), reason(&away).as_str()), (Code::Unavailable, "CONVERSATION_UNAVAILABLE"));
    let get = GetAssignmentRequest { conversation_id: conversation.to_string() };
    assert_eq!(calls.get_assignment(get).await.unwrap_err().code(), Code::NotFound);
    calls.take_over_conversation(take(conversation, 1, "1")).await.unwrap();
}
