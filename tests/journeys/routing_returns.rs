//! Chats that go back from agents, are reopened, wait outside of opening hours, or are handed off to a team.

use std::time::Duration;

use frontdesk_proto::{
    assignment::v1::{
        AddTeamMembersRequest, AgentStatus, AssignmentCause, Availability, AwayReason, CreateOpeningHoursRequest,
        CreateRoutingPolicyRequest, CreateTeamRequest, DeactivateAgentRequest, GetAgentStatusRequest,
        ListAssignmentsRequest, OpeningSchedule, OutsideHoursText, RoutingRules, RoutingStep, RoutingStrategy,
        assignment_service_client::AssignmentServiceClient, availability_service_client::AvailabilityServiceClient,
        opening_hours_service_client::OpeningHoursServiceClient, roster_service_client::RosterServiceClient,
        routing_policy_service_client::RoutingPolicyServiceClient, team_service_client::TeamServiceClient,
    },
    botsession::v1::{CreateBotRequest, Flow, HandOffStep, Step, bot_service_client::BotServiceClient, step::Action},
    conversation::v1::{
        CloseConversationRequest, CreateChannelRequest, ListConversationsRequest, ReopenConversationRequest,
        WatchInboxRequest, channel_service_client::ChannelServiceClient,
        conversation_service_client::ConversationServiceClient, create_channel_request::Greeter, entry::Content,
    },
};
use frontdesk_tests::{Account, As, Chat, TestSuite, request_id, wait_for};
use uuid::Uuid;

use super::routing::{available, owner, routed_channel};

/// Any available agent.
fn anybody() -> RoutingRules {
    RoutingRules {
        steps: vec![RoutingStep { anybody: true, ..Default::default() }],
        strategy: RoutingStrategy::FewestOpen.into(),
        only_available: true,
        ..Default::default()
    }
}

/// A channel whose chats are routed by these rules.
async fn channel_with(account: &Account, rules: RoutingRules) -> String {
    let policy = CreateRoutingPolicyRequest { name: "Rules".into(), rules: Some(rules), request_id: request_id() };
    let mut policies = RoutingPolicyServiceClient::new(account.admin());
    let policy = policies.create_routing_policy(policy).await.unwrap().into_inner().routing_policy.unwrap();
    channel(account, Greeter::RoutingPolicyId(policy.id)).await
}

async fn channel(account: &Account, greeter: Greeter) -> String {
    let channel = CreateChannelRequest {
        name: "Shop".into(),
        website_url: "https://shop.example".into(),
        greeter: Some(greeter),
        request_id: request_id(),
        ..Default::default()
    };
    let mut channels = ChannelServiceClient::new(account.admin());
    channels.create_channel(channel).await.unwrap().into_inner().channel.unwrap().id
}

async fn until_owner_is(agent: &As, chat: &str, expected: Uuid) {
    wait_for("the owner", || async {
        let assignee = Account::conversation(agent, chat).await.assignee?;
        (assignee.id == expected.to_string()).then_some(())
    })
    .await;
}

async fn until_unassigned(agent: &As, chat: &str) {
    wait_for("no owner", || async { Account::conversation(agent, chat).await.assignee.is_none().then_some(()) }).await;
}

async fn causes(agent: &As, chat: &str, count: usize) -> Vec<AssignmentCause> {
    wait_for("the history", || async {
        let request = ListAssignmentsRequest { conversation_id: chat.to_owned(), ..Default::default() };
        let mut calls = AssignmentServiceClient::new(agent.clone());
        let history = calls.list_assignments(request).await.ok()?.into_inner().assignments;
        let causes: Vec<_> = history.iter().map(|assignment| assignment.cause()).collect();
        (causes.len() == count).then_some(causes)
    })
    .await
}

async fn status(agent: &As, id: Uuid) -> AgentStatus {
    let request = GetAgentStatusRequest { agent_id: id.to_string() };
    AvailabilityServiceClient::new(agent.clone()).get_agent_status(request).await.unwrap().into_inner().status.unwrap()
}

async fn close(agent: &As, chat: &Chat) {
    let close = CloseConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
    ConversationServiceClient::new(agent.clone()).close_conversation(close).await.unwrap();
}

#[tokio::test]
async fn a2_a8_the_chats_of_a_deactivated_agent_go_back_to_routing_or_become_unassigned() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, reader) = account.agent("Reader").await;
    let (ada, agent) = available(&account, "Ada").await;
    let routed = account.start_chat(account.visitor("one"), &routed_channel(&account).await).await;
    assert_eq!(owner(&agent, &routed.id).await, ada.to_string());
    let plain = account.start_chat(account.visitor("two"), &account.channel(None).await).await;
    plain.reply(&agent).await.unwrap();
    wait_for("the load", || async { (status(&reader, ada).await.open_conversations == 2).then_some(()) }).await;

    let deactivate = DeactivateAgentRequest { agent_id: ada.to_string() };
    RosterServiceClient::new(account.admin()).deactivate_agent(deactivate).await.unwrap();
    until_unassigned(&reader, &plain.id).await;
    let (bob, _) = available(&account, "Bob").await;
    until_owner_is(&reader, &routed.id, bob).await;
    let deactivated = AssignmentCause::AgentDeactivated;
    let expected = [AssignmentCause::Started, AssignmentCause::Routed, deactivated, AssignmentCause::Routed];
    assert_eq!(causes(&reader, &routed.id, 4).await, expected);
    assert_eq!(causes(&reader, &plain.id, 3).await, [AssignmentCause::Started, AssignmentCause::ByHand, deactivated]);
    let thread = Account::thread(&reader, &routed.id).await;
    let said = thread.iter().any(|entry| {
        matches!(&entry.content, Some(Content::AssigneeChanged(change)) if change.cause() == deactivated && change.new_owner.is_none())
    });
    assert!(said, "the thread says why");
    assert_eq!(Account::conversation(&reader, &plain.id).await.assignee, None);
}

#[tokio::test]
async fn a7_a_chat_of_an_agent_who_vanished_goes_back_to_the_queue_while_its_visitor_waits() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, reader) = account.agent("Reader").await;
    let (ada, agent) = available(&account, "Ada").await;
    let take_back_after = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let channel = channel_with(&account, RoutingRules { take_back_after, ..anybody() }).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    assert_eq!(owner(&agent, &chat.id).await, ada.to_string());
    wait_for("the load", || async { (status(&reader, ada).await.open_conversations == 1).then_some(()) }).await;
    chat.say("Is anybody there?").await.unwrap();
    suite.advance(Duration::from_secs(91));
    wait_for("the end of the heartbeats", || async {
        (status(&reader, ada).await.away_reason() == AwayReason::NoHeartbeat).then_some(())
    })
    .await;
    suite.advance(Duration::from_secs(61));
    until_unassigned(&reader, &chat.id).await;
    let (bob, _) = available(&account, "Bob").await;
    until_owner_is(&reader, &chat.id, bob).await;
    let expected =
        [AssignmentCause::Started, AssignmentCause::Routed, AssignmentCause::AgentUnreachable, AssignmentCause::Routed];
    assert_eq!(causes(&reader, &chat.id, 4).await, expected);
}

#[tokio::test]
async fn a7_an_agent_whose_stream_ends_stays_available() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (ada, agent) = available(&account, "Ada").await;
    let mut calls = ConversationServiceClient::new(agent.clone());
    let inbox = ListConversationsRequest::default();
    let listed = calls.list_conversations(inbox.clone()).await.unwrap().into_inner();
    let watch = WatchInboxRequest { inbox: Some(inbox), cursor: listed.watch_cursor };
    drop(calls.watch_inbox(watch).await.unwrap());
    suite.advance(Duration::from_secs(60));
    suite.settled().await;
    assert_eq!(status(&agent, ada).await.availability(), Availability::Available);
    let chat = account.start_chat(account.visitor("v"), &routed_channel(&account).await).await;
    assert_eq!(owner(&agent, &chat.id).await, ada.to_string());
}

#[tokio::test]
async fn e4_a_chat_that_an_administrator_reopens_returns_to_its_last_owner_or_is_routed() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (ada, agent) = available(&account, "Ada").await;
    let chat = account.start_chat(account.visitor("v"), &routed_channel(&account).await).await;
    assert_eq!(owner(&agent, &chat.id).await, ada.to_string());
    let (bob, colleague) = available(&account, "Bob").await;
    let reopen = async || {
        let request = ReopenConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
        ConversationServiceClient::new(account.admin()).reopen_conversation(request).await.unwrap();
    };
    close(&agent, &chat).await;
    wait_for("a place", || async { (status(&agent, ada).await.open_conversations == 0).then_some(()) }).await;
    reopen().await;
    until_owner_is(&agent, &chat.id, ada).await;

    // Ada has another chat when it is reopened again, and one is what she takes.
    close(&agent, &chat).await;
    let other = account.start_chat(account.visitor("w"), &account.channel(None).await).await;
    other.reply(&agent).await.unwrap();
    wait_for("the load", || async {
        let open = status(&agent, ada).await.open_conversations;
        let over = Account::conversation(&agent, &chat.id).await.close_time.is_some();
        (open == 1 && over).then_some(())
    })
    .await;
    suite.settled().await;
    reopen().await;
    until_owner_is(&colleague, &chat.id, bob).await;
}

#[tokio::test]
async fn a4_a_visitor_outside_of_opening_hours_gets_the_message_of_the_policy_once() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = available(&account, "Ada").await;
    let never = OpeningSchedule { time_zone: "UTC".into(), ..Default::default() };
    let request = CreateOpeningHoursRequest { name: "Never".into(), schedule: Some(never), request_id: request_id() };
    let mut hours = OpeningHoursServiceClient::new(account.admin());
    let hours = hours.create_opening_hours(request).await.unwrap().into_inner().opening_hours.unwrap().id;
    let text = |language: &str, text: &str| OutsideHoursText { language: language.into(), text: text.into() };
    let rules = RoutingRules {
        opening_hours_id: hours,
        outside_opening_hours_texts: vec![text("en", "We are closed."), text("it", "Siamo chiusi.")],
        ..anybody()
    };
    let channel = channel_with(&account, rules).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    chat.say("Hello?").await.unwrap();
    chat.until_text("We are closed.").await;
    suite.settled().await;
    let thread = Account::thread(&agent, &chat.id).await;
    let messages = thread.iter().filter(|entry| matches!(entry.content, Some(Content::Message(_)))).count();
    assert_eq!(messages, 2, "{thread:?}");
    let conversation = Account::conversation(&agent, &chat.id).await;
    assert!(conversation.assignee.is_none() && conversation.waiting_since_time.is_some(), "the visitor still waits");
}

#[tokio::test]
async fn b8_a_flow_hands_off_to_a_team_by_the_policy_of_its_channel() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (ada, agent) = available(&account, "Ada").await;
    available(&account, "Bob").await;
    let team = CreateTeamRequest { name: "Repairs".into(), request_id: request_id(), ..Default::default() };
    let mut teams = TeamServiceClient::new(account.admin());
    let team = teams.create_team(team).await.unwrap().into_inner().team.unwrap().id;
    let members = AddTeamMembersRequest { team_id: team.clone(), agent_ids: vec![ada.to_string()] };
    teams.add_team_members(members).await.unwrap();
    let hand_off = HandOffStep { reason: "a repair".into(), team_id: team, ..Default::default() };
    let steps = vec![Step { id: "team".into(), action: Some(Action::HandOff(hand_off)), next_step_id: String::new() }];
    let bot = CreateBotRequest {
        name: "Robin".into(),
        flow: Some(Flow { steps }),
        request_id: request_id(),
        ..Default::default()
    };
    let bot = BotServiceClient::new(account.admin()).create_bot(bot).await.unwrap().into_inner().bot.unwrap();
    let channel = channel(&account, Greeter::BotId(bot.id)).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    until_owner_is(&agent, &chat.id, ada).await;
}
