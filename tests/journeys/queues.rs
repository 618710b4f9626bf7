//! Chats that wait in a queue: what their visitors and the teams see.

use std::time::Duration;

use frontdesk_proto::{
    assignment::v1::{
        AddTeamMembersRequest, AgentCapacity, Availability, CreateRoutingPolicyRequest, CreateTeamRequest,
        DeleteRoutingPolicyRequest, GetQueuePlaceRequest, RoutingRules, RoutingStep, RoutingStrategy,
        SetAvailabilityRequest, UpdateAgentRequest, agent_capacity::Limit,
        availability_service_client::AvailabilityServiceClient, roster_service_client::RosterServiceClient,
        routing_policy_service_client::RoutingPolicyServiceClient, routing_service_client::RoutingServiceClient,
        team_service_client::TeamServiceClient,
    },
    conversation::v1::{
        AssigneeFilter, ChatQueuePlace, CloseConversationRequest, CreateChannelRequest, GetChannelRequest,
        ListConversationsRequest, WatchChatRequest, WatchChatResponse, WatchInboxRequest, WatchInboxResponse,
        assignee_filter::Assignee, channel_service_client::ChannelServiceClient,
        conversation_service_client::ConversationServiceClient, create_channel_request::Greeter,
        visitor_service_client::VisitorServiceClient, watch_chat_response, watch_inbox_response,
    },
};
use frontdesk_tests::{Account, As, TestSuite, request_id, wait_until};
use tokio::time::timeout;
use tonic::Streaming;

/// How long a journey waits for an update: places are looked at every 5 seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// A channel whose chats are routed by one step, and the policy.
pub async fn routed_channel(account: &Account, step: RoutingStep) -> (String, String) {
    let rules = RoutingRules {
        steps: vec![step],
        strategy: RoutingStrategy::RoundRobin.into(),
        only_available: true,
        ..Default::default()
    };
    let policy = CreateRoutingPolicyRequest { name: "Queue".into(), rules: Some(rules), request_id: request_id() };
    let mut policies = RoutingPolicyServiceClient::new(account.admin());
    let policy = policies.create_routing_policy(policy).await.unwrap().into_inner().routing_policy.unwrap().id;
    let channel = CreateChannelRequest {
        name: "Shop".into(),
        website_url: "https://shop.example".into(),
        greeter: Some(Greeter::RoutingPolicyId(policy.clone())),
        request_id: request_id(),
        ..Default::default()
    };
    let mut channels = ChannelServiceClient::new(account.admin());
    (channels.create_channel(channel).await.unwrap().into_inner().channel.unwrap().id, policy)
}

/// An agent who is available and takes one conversation.
async fn available(account: &Account, name: &str) -> As {
    let (id, agent) = account.agent(name).await;
    let capacity = Some(AgentCapacity { limit: Some(Limit::Conversations(1)) });
    let update = UpdateAgentRequest { agent_id: id.to_string(), capacity, ..Default::default() };
    RosterServiceClient::new(account.admin()).update_agent(update).await.unwrap();
    let set = SetAvailabilityRequest { availability: Availability::Available.into() };
    AvailabilityServiceClient::new(agent.clone()).set_availability(set).await.unwrap();
    agent
}

async fn until_assigned(agent: &As, chat: &str) {
    wait_until("an agent", || async { Account::conversation(agent, chat).await.assignee.is_some() }).await;
}

async fn close(agent: &As, chat: &str) {
    let close = CloseConversationRequest { conversation_id: chat.to_owned(), ..Default::default() };
    ConversationServiceClient::new(agent.clone()).close_conversation(close).await.unwrap();
}

async fn place(account: &Account, chat: &str) -> i32 {
    let request = GetQueuePlaceRequest { conversation_id: chat.to_owned() };
    let place = RoutingServiceClient::new(account.admin()).get_queue_place(request).await;
    place.map_or(0, |place| place.into_inner().place)
}

/// Takes the places that the visitor is shown until it is this one.
async fn until_place(updates: &mut Streaming<WatchChatResponse>, about_place: i32) -> ChatQueuePlace {
    let found = timeout(PATIENCE, async {
        loop {
            let update = updates.message().await.unwrap().unwrap().update;
            if let Some(watch_chat_response::Update::QueuePlace(place)) = update
                && place.about_place == about_place
            {
                return place;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("the place {about_place}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a6_s3_a_visitor_who_waits_sees_about_their_place_until_an_agent_has_the_chat() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let agent = available(&account, "Ada").await;
    let (channel, _) = routed_channel(&account, RoutingStep { anybody: true, ..Default::default() }).await;
    let first = account.start_chat(account.visitor("one"), &channel).await;
    until_assigned(&agent, &first.id).await;
    let second = account.start_chat(account.visitor("two"), &channel).await;
    wait_until("the queue", || async { place(&account, &second.id).await == 1 }).await;
    let third = account.start_chat(account.visitor("three"), &channel).await;

    let request = WatchChatRequest { chat_id: third.id.clone(), after_visitor_sequence: 0 };
    let mut visitor = VisitorServiceClient::new(account.visitor("three"));
    let mut updates = visitor.watch_chat(request).await.unwrap().into_inner();
    assert_eq!(until_place(&mut updates, 2).await.about_wait, None, "there is no evidence yet");
    assert_eq!(place(&account, &third.id).await, 2, "the team sees the same");
    close(&agent, &first.id).await;
    until_assigned(&agent, &second.id).await;
    until_place(&mut updates, 1).await;
    close(&agent, &second.id).await;
    until_place(&mut updates, 0).await;
    until_assigned(&agent, &third.id).await;
    assert_eq!(place(&account, &third.id).await, 0);
}

/// Takes updates of the inbox until this conversation is shown, or is gone.
async fn until_shown(updates: &mut Streaming<WatchInboxResponse>, chat: &str, shown: bool) {
    let seen = timeout(PATIENCE, async {
        loop {
            let now = match updates.message().await.unwrap().unwrap().update {
                Some(watch_inbox_response::Update::Row(row)) => (row.conversation.unwrap().id, true),
                Some(watch_inbox_response::Update::GoneConversationId(id)) => (id, false),
                _ => continue,
            };
            if now == (chat.to_owned(), shown) {
                return;
            }
        }
    });
    seen.await.unwrap_or_else(|_| panic!("{chat} to be shown: {shown}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c9_a4_the_inbox_of_a_team_shows_what_waits_for_it_while_it_does() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (ada, agent) = account.agent("Ada").await;
    let mut teams = TeamServiceClient::new(account.admin());
    let team = CreateTeamRequest { name: "Sales".into(), request_id: request_id(), ..Default::default() };
    let team = teams.create_team(team).await.unwrap().into_inner().team.unwrap().id;
    let add = AddTeamMembersRequest { team_id: team.clone(), agent_ids: vec![ada.to_string()] };
    teams.add_team_members(add).await.unwrap();
    let step = RoutingStep { team_ids: vec![team.clone()], ..Default::default() };
    let (channel, policy) = routed_channel(&account, step).await;
    // The members of the copy are known before the watch begins.
    suite.settled().await;

    let of_team = AssigneeFilter { assignee: Some(Assignee::TeamId(team)) };
    let inbox = ListConversationsRequest { assignees: vec![of_team], ..Default::default() };
    let mut calls = ConversationServiceClient::new(agent.clone());
    let listed = calls.list_conversations(inbox.clone()).await.unwrap().into_inner();
    assert!(listed.rows.is_empty());
    let watch = WatchInboxRequest { inbox: Some(inbox.clone()), cursor: listed.watch_cursor };
    let mut updates = calls.watch_inbox(watch).await.unwrap().into_inner();

    let waits = account.start_chat(account.visitor("one"), &channel).await;
    until_shown(&mut updates, &waits.id, true).await;
    let taken = account.start_chat(account.visitor("two"), &channel).await;
    until_shown(&mut updates, &taken.id, true).await;
    taken.reply(&agent).await.unwrap();
    assert_eq!(place(&account, &waits.id).await, 1);

    // Nobody is available: the chat waits in the default queue, for no team.
    let delete = DeleteRoutingPolicyRequest { routing_policy_id: policy };
    RoutingPolicyServiceClient::new(account.admin()).delete_routing_policy(delete).await.unwrap();
    until_shown(&mut updates, &waits.id, false).await;
    assert_eq!(place(&account, &waits.id).await, 1, "A4: in the default queue");
    let says_so = || async {
        let request = GetChannelRequest { channel_id: channel.clone() };
        let response = ChannelServiceClient::new(account.admin()).get_channel(request).await.unwrap();
        response.into_inner().channel.unwrap().routing_policy_deleted
    };
    wait_until("the channel to say that its policy was deleted", says_so).await;
    let listed = calls.list_conversations(inbox).await.unwrap().into_inner();
    let rows: Vec<_> = listed.rows.into_iter().map(|row| row.conversation.unwrap().id).collect();
    assert_eq!(rows, [taken.id.as_str()], "the chat of a member stays");
}
