//! Chats that routing gives to agents.

use frontdesk_proto::{
    assignment::v1::{
        AgentCapacity, AssignmentCause, Availability, CreateRoutingPolicyRequest, ListAssignmentsRequest, RoutingRules,
        RoutingStep, RoutingStrategy, SetAvailabilityRequest, UpdateAgentRequest, agent_capacity::Limit,
        assignment_service_client::AssignmentServiceClient, availability_service_client::AvailabilityServiceClient,
        roster_service_client::RosterServiceClient, routing_policy_service_client::RoutingPolicyServiceClient,
    },
    conversation::v1::{
        CloseConversationRequest, CreateChannelRequest, channel_service_client::ChannelServiceClient,
        conversation_service_client::ConversationServiceClient, create_channel_request::Greeter,
    },
};
use frontdesk_tests::{Account, As, TestSuite, request_id, wait_for};
use uuid::Uuid;

/// An agent who is available and takes one conversation.
pub async fn available(account: &Account, name: &str) -> (Uuid, As) {
    let (id, agent) = account.agent(name).await;
    let capacity = Some(AgentCapacity { limit: Some(Limit::Conversations(1)) });
    let update = UpdateAgentRequest { agent_id: id.to_string(), capacity, ..Default::default() };
    RosterServiceClient::new(account.admin()).update_agent(update).await.unwrap();
    let set = SetAvailabilityRequest { availability: Availability::Available.into() };
    AvailabilityServiceClient::new(agent.clone()).set_availability(set).await.unwrap();
    (id, agent)
}

/// A channel whose chats go to any available agent.
pub async fn routed_channel(account: &Account) -> String {
    let rules = RoutingRules {
        steps: vec![RoutingStep { anybody: true, ..Default::default() }],
        strategy: RoutingStrategy::RoundRobin.into(),
        only_available: true,
        ..Default::default()
    };
    let policy = CreateRoutingPolicyRequest { name: "Everybody".into(), rules: Some(rules), request_id: request_id() };
    let mut policies = RoutingPolicyServiceClient::new(account.admin());
    let policy = policies.create_routing_policy(policy).await.unwrap().into_inner().routing_policy.unwrap();
    let channel = CreateChannelRequest {
        name: "Shop".into(),
        website_url: "https://shop.example".into(),
        greeter: Some(Greeter::RoutingPolicyId(policy.id)),
        request_id: request_id(),
        ..Default::default()
    };
    let mut channels = ChannelServiceClient::new(account.admin());
    channels.create_channel(channel).await.unwrap().into_inner().channel.unwrap().id
}

pub async fn owner(agent: &As, chat: &str) -> String {
    wait_for("an agent", || async { Account::conversation(agent, chat).await.assignee.map(|assignee| assignee.id) })
        .await
}

#[tokio::test]
async fn a4_a5_a6_chats_are_routed_and_a_close_moves_the_queue() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let ((ada, agent), (bob, _)) = (available(&account, "Ada").await, available(&account, "Bob").await);
    let channel = routed_channel(&account).await;
    let mut chats = Vec::new();
    let mut owners = Vec::new();
    for visitor in ["one", "two"] {
        let chat = account.start_chat(account.visitor(visitor), &channel).await;
        owners.push(owner(&agent, &chat.id).await);
        chats.push(chat);
    }
    chats.push(account.start_chat(account.visitor("three"), &channel).await);
    let first = owners[0].clone();
    owners.sort();
    let mut expected = [ada.to_string(), bob.to_string()];
    expected.sort();
    assert_eq!(owners, expected, "A5: each takes one");
    assert_eq!(Account::conversation(&agent, &chats[2].id).await.assignee, None, "A6: the third one waits");

    let close = CloseConversationRequest { conversation_id: chats[0].id.clone(), ..Default::default() };
    ConversationServiceClient::new(agent.clone()).close_conversation(close).await.unwrap();
    assert_eq!(owner(&agent, &chats[2].id).await, first, "A6: it gets the place that became free");
    let history = wait_for("the history", || async {
        let request = ListAssignmentsRequest { conversation_id: chats[2].id.clone(), ..Default::default() };
        let mut calls = AssignmentServiceClient::new(agent.clone());
        let history = calls.list_assignments(request).await.ok()?.into_inner().assignments;
        (history.len() == 2).then_some(history)
    })
    .await;
    assert_eq!(history[1].cause(), AssignmentCause::Routed, "A8");
}
