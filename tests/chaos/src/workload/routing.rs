//! The calls by which conversations are routed: policies, channels, and what agents do.

use frontdesk_proto::{
    assignment::v1::{
        AgentCapacity, Availability, CreateOpeningHoursRequest, CreateRoutingPolicyRequest, DeactivateAgentRequest,
        HeartbeatRequest, OpeningSchedule, ReactivateAgentRequest, RoutingRules, SetAvailabilityRequest,
        UpdateAgentRequest, agent_capacity::Limit, availability_service_client::AvailabilityServiceClient,
        opening_hours_service_client::OpeningHoursServiceClient, roster_service_client::RosterServiceClient,
        routing_policy_service_client::RoutingPolicyServiceClient,
    },
    conversation::v1::{
        AssigneeFilter, ConversationStatus, CreateChannelRequest, ListConversationsRequest,
        assignee_filter::{Assignee, Me},
        channel_service_client::ChannelServiceClient,
        conversation_service_client::ConversationServiceClient,
        create_channel_request::Greeter,
    },
};
use serde_json::{Value, json};

use super::calls::map;
use crate::{
    cluster::Service,
    driver::{Caller, Driver, Outcome, request_id},
};

impl Driver {
    /// Creates a channel whose chats wait for an agent by a new policy with these rules. Returns its id.
    pub async fn create_routed_channel(&self, admin: &Caller, name: &str, rules: RoutingRules) -> Option<String> {
        let request = CreateRoutingPolicyRequest { name: name.into(), rules: Some(rules), request_id: request_id() };
        let id = request.request_id.clone();
        let call = ("CreateRoutingPolicy", "", id.as_str());
        let created = self
            .call_until_answered(
                admin,
                Service::Assignment,
                call,
                Value::Null,
                |_| Value::Null,
                |channel| {
                    let request = request.clone();
                    async move { RoutingPolicyServiceClient::new(channel).create_routing_policy(request).await }
                },
            )
            .await;
        let policy = created.ok()?.routing_policy?.id;
        let request = CreateChannelRequest {
            name: name.into(),
            website_url: "https://shop.example".into(),
            greeter: Some(Greeter::RoutingPolicyId(policy)),
            request_id: request_id(),
            ..Default::default()
        };
        let id = request.request_id.clone();
        let call = ("CreateChannel", "", id.as_str());
        let created = self
            .call_until_answered(
                admin,
                Service::Conversation,
                call,
                Value::Null,
                |_| Value::Null,
                |channel| {
                    let request = request.clone();
                    async move { ChannelServiceClient::new(channel).create_channel(request).await }
                },
            )
            .await;
        Some(created.ok()?.channel?.id)
    }

    /// Creates opening hours that are never open. Returns their id.
    pub async fn create_closed_hours(&self, admin: &Caller, name: &str) -> Option<String> {
        let schedule = Some(OpeningSchedule { time_zone: "UTC".into(), ..OpeningSchedule::default() });
        let request = CreateOpeningHoursRequest { name: name.into(), schedule, request_id: request_id() };
        let id = request.request_id.clone();
        let call = ("CreateOpeningHours", "", id.as_str());
        let created = self
            .call_until_answered(
                admin,
                Service::Assignment,
                call,
                Value::Null,
                |_| Value::Null,
                |channel| {
                    let request = request.clone();
                    async move { OpeningHoursServiceClient::new(channel).create_opening_hours(request).await }
                },
            )
            .await;
        Some(created.ok()?.opening_hours?.id)
    }

    /// Ids of up to 50 open conversations of the agent.
    pub async fn list_own_open(&self, agent: &Caller) -> Vec<String> {
        let request = ListConversationsRequest {
            statuses: vec![ConversationStatus::Open.into()],
            assignees: vec![AssigneeFilter { assignee: Some(Assignee::Me(Me {})) }],
            ..Default::default()
        };
        let call = ("ListConversations", "", "");
        let listed = self
            .call_until_answered(
                agent,
                Service::Conversation,
                call,
                Value::Null,
                |_| Value::Null,
                |channel| {
                    let request = request.clone();
                    async move { ConversationServiceClient::new(channel).list_conversations(request).await }
                },
            )
            .await;
        let rows = listed.ok().map(|listed| listed.rows).unwrap_or_default();
        rows.into_iter().filter_map(|row| row.conversation).map(|conversation| conversation.id).collect()
    }

    /// Sets the agent available or away.
    pub async fn set_availability(&self, agent: &Caller, availability: Availability) -> Outcome<()> {
        let request = SetAvailabilityRequest { availability: availability.into() };
        let arguments = json!({ "availability": availability.as_str_name() });
        let set = self
            .call_until_answered(
                agent,
                Service::Assignment,
                ("SetAvailability", "", ""),
                arguments,
                |_| Value::Null,
                |channel| async move { AvailabilityServiceClient::new(channel).set_availability(request).await },
            )
            .await;
        map(set, |_| ())
    }

    /// Sends a heartbeat of the agent's client.
    pub async fn heartbeat(&self, agent: &Caller) -> Outcome<()> {
        let beat = self
            .call_until_answered(
                agent,
                Service::Assignment,
                ("Heartbeat", "", ""),
                Value::Null,
                |_| Value::Null,
                |channel| async move { AvailabilityServiceClient::new(channel).heartbeat(HeartbeatRequest {}).await },
            )
            .await;
        map(beat, |_| ())
    }

    /// Sets how many open conversations routing lets the agent have.
    pub async fn set_capacity(&self, admin: &Caller, agent_id: &str, conversations: i32) -> Outcome<()> {
        let capacity = Some(AgentCapacity { limit: Some(Limit::Conversations(conversations)) });
        let request = UpdateAgentRequest { agent_id: agent_id.to_owned(), capacity, ..Default::default() };
        let arguments = json!({ "agent": agent_id, "capacity": conversations });
        let updated = self
            .call_until_answered(
                admin,
                Service::Assignment,
                ("UpdateAgent", "", ""),
                arguments,
                |_| Value::Null,
                |channel| {
                    let request = request.clone();
                    async move { RosterServiceClient::new(channel).update_agent(request).await }
                },
            )
            .await;
        map(updated, |_| ())
    }

    /// Deactivates the agent.
    pub async fn deactivate(&self, admin: &Caller, agent_id: &str) -> Outcome<()> {
        let request = DeactivateAgentRequest { agent_id: agent_id.to_owned() };
        let deactivated = self
            .call_until_answered(
                admin,
                Service::Assignment,
                ("DeactivateAgent", "", ""),
                json!({ "agent": agent_id }),
                |_| Value::Null,
                |channel| {
                    let request = request.clone();
                    async move { RosterServiceClient::new(channel).deactivate_agent(request).await }
                },
            )
            .await;
        map(deactivated, |_| ())
    }

    /// Undoes the deactivation of the agent.
    pub async fn reactivate(&self, admin: &Caller, agent_id: &str) -> Outcome<()> {
        let request = ReactivateAgentRequest { agent_id: agent_id.to_owned() };
        let reactivated = self
            .call_until_answered(
                admin,
                Service::Assignment,
                ("ReactivateAgent", "", ""),
                json!({ "agent": agent_id }),
                |_| Value::Null,
                |channel| {
                    let request = request.clone();
                    async move { RosterServiceClient::new(channel).reactivate_agent(request).await }
                },
            )
            .await;
        map(reactivated, |_| ())
    }
}
