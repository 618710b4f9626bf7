//! The service as it runs, its callers, and the conversation service that it asks.

use std::ops::Deref;

use frontdesk_assignment::{App, AssignmentSettings};
use frontdesk_auth::CallerKind;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::{
        Agent, AgentCapacity, AgentStatus, AssignConversationRequest, Assignment, Availability, CreateAgentRequest,
        CreateRoutingPolicyRequest, CreateTeamRequest, GetAgentRequest, GetAgentStatusRequest, GetQueuePlaceRequest,
        ListAssignmentsRequest, RoutingPolicy, RoutingRules, RoutingStep, RoutingStrategy, SetAvailabilityRequest,
        TakeOverConversationRequest, Team, UnassignConversationRequest, agent_capacity::Limit,
        assignment_service_client::AssignmentServiceClient, availability_service_client::AvailabilityServiceClient,
        roster_service_client::RosterServiceClient, routing_policy_service_client::RoutingPolicyServiceClient,
        routing_service_client::RoutingServiceClient, team_service_client::TeamServiceClient,
    },
    conversation::{
        internal::v1::{
            ChangeAssigneeRequest, ChangeAssigneeResponse, ChangeAssigneesRequest, ChangeAssigneesResponse,
        },
        v1::Conversation,
    },
};
use frontdesk_testkit::{Calls, FakeConversations, Mode, ServiceUnderTest, new_id, reason};
use tonic::{Code, Request, Status};
use uuid::Uuid;

/// The service under test, with a conversation service in memory as its neighbour.
pub struct Fixture {
    service: ServiceUnderTest,
    pub conversations: FakeConversations,
}

impl Deref for Fixture {
    type Target = ServiceUnderTest;

    fn deref(&self) -> &ServiceUnderTest {
        &self.service
    }
}

impl Fixture {
    pub async fn start(mode: Mode) -> Self {
        Self::start_with(mode, AssignmentSettings::default()).await
    }

    pub async fn start_with(mode: Mode, settings: AssignmentSettings) -> Self {
        let service = ServiceUnderTest::start_with::<App>(mode, settings).await;
        let conversations = FakeConversations::default();
        conversations.serve_by(&service.fake);
        Self { service, conversations }
    }

    pub fn roster(&self, account: AccountId) -> RosterServiceClient<Calls> {
        RosterServiceClient::new(self.calls(account, CallerKind::Admin, "root"))
    }

    pub fn teams(&self, account: AccountId) -> TeamServiceClient<Calls> {
        TeamServiceClient::new(self.calls(account, CallerKind::Admin, "root"))
    }

    /// Creates a team without members.
    pub async fn team(&self, account: AccountId, name: &str) -> Team {
        let request = new_team(name, &format!("create-{name}"));
        self.teams(account).create_team(request).await.unwrap().into_inner().team.unwrap()
    }

    pub fn policies(&self, account: AccountId) -> RoutingPolicyServiceClient<Calls> {
        RoutingPolicyServiceClient::new(self.calls(account, CallerKind::Admin, "root"))
    }

    pub fn routing(&self, account: AccountId) -> RoutingServiceClient<Calls> {
        RoutingServiceClient::new(self.calls(account, CallerKind::Admin, "root"))
    }

    /// Creates a routing policy.
    pub async fn policy(&self, account: AccountId, name: &str, rules: RoutingRules) -> RoutingPolicy {
        let request_id = format!("create-{}", name.replace(' ', "-"));
        let request = CreateRoutingPolicyRequest { name: name.into(), rules: Some(rules), request_id };
        self.policies(account).create_routing_policy(request).await.unwrap().into_inner().routing_policy.unwrap()
    }

    /// Adds an agent who is available and takes up to this many conversations.
    pub async fn available(&self, account: AccountId, handle: &str, capacity: i32) -> Agent {
        // With its capacity from the start: where routing asks for no availability, it gives conversations at once.
        let capacity = Some(AgentCapacity { limit: Some(Limit::Conversations(capacity)) });
        let create = CreateAgentRequest { capacity, ..new_agent(handle, &format!("create-{handle}")) };
        let agent = self.roster(account).create_agent(create).await.unwrap().into_inner().agent.unwrap();
        self.set_availability(account, &agent, Availability::Available).await;
        agent
    }

    pub async fn set_availability(&self, account: AccountId, agent: &Agent, availability: Availability) {
        let request = SetAvailabilityRequest { availability: availability.into() };
        self.own_status(account, &agent.id).set_availability(request).await.unwrap();
    }

    /// Place in the queue and number of conversations in it.
    pub async fn place(&self, account: AccountId, conversation: Uuid) -> (i32, i32) {
        let request = GetQueuePlaceRequest { conversation_id: conversation.to_string() };
        let answer = self.routing(account).get_queue_place(request).await.unwrap().into_inner();
        (answer.place, answer.waiting)
    }

    /// Waits until the conversation has an agent; returns the agent's id.
    pub async fn routed(&self, conversation: Uuid) -> String {
        frontdesk_testkit::wait_for("an agent", || async {
            Some(self.owner(conversation).1).filter(|owner| !owner.is_empty())
        })
        .await
    }

    /// Statuses, as an administrator reads and sets them.
    pub fn statuses(&self, account: AccountId) -> AvailabilityServiceClient<Calls> {
        AvailabilityServiceClient::new(self.calls(account, CallerKind::Admin, "root"))
    }

    /// The status of the agent with this id, on the roster or not, as they set it.
    pub fn own_status(&self, account: AccountId, agent: &str) -> AvailabilityServiceClient<Calls> {
        AvailabilityServiceClient::new(self.calls(account, CallerKind::Agent, agent))
    }

    pub async fn status(&self, account: AccountId, agent: &Agent) -> AgentStatus {
        let request = GetAgentStatusRequest { agent_id: agent.id.clone() };
        self.statuses(account).get_agent_status(request).await.unwrap().into_inner().status.unwrap()
    }

    /// Calls of the agent with this id, on the roster or not.
    pub fn assignments(&self, account: AccountId, agent: Uuid) -> AssignmentServiceClient<Calls> {
        AssignmentServiceClient::new(self.calls(account, CallerKind::Agent, &agent.to_string()))
    }

    /// Calls of this agent.
    pub fn calls_of(&self, account: AccountId, agent: &Agent) -> AssignmentServiceClient<Calls> {
        self.assignments(account, agent.id.parse().unwrap())
    }

    /// Calls of the administrator with this subject.
    pub fn calls_of_admin(&self, account: AccountId, subject: &str) -> AssignmentServiceClient<Calls> {
        AssignmentServiceClient::new(self.calls(account, CallerKind::Admin, subject))
    }

    /// Adds an agent to the account's roster.
    pub async fn agent(&self, account: AccountId, handle: &str) -> Agent {
        let request = new_agent(handle, &format!("create-{handle}"));
        self.roster(account).create_agent(request).await.unwrap().into_inner().agent.unwrap()
    }

    /// The agent as the roster has them now.
    pub async fn agent_now(&self, account: AccountId, agent: &Agent) -> Agent {
        let get = GetAgentRequest { agent_id: agent.id.clone() };
        self.roster(account).get_agent(get).await.unwrap().into_inner().agent.unwrap()
    }

    /// An unassigned conversation at epoch 1.
    pub fn conversation(&self) -> Uuid {
        let id = new_id();
        self.conversations.add(id);
        id
    }

    /// A conversation of this agent at epoch 1.
    pub fn conversation_of(&self, agent: &Agent) -> Uuid {
        let id = new_id();
        let owner = Actor { kind: ActorKind::Agent.into(), id: agent.id.clone(), name: agent.name.clone() };
        self.conversations.insert(Conversation {
            id: id.to_string(),
            epoch: 1,
            assignee: Some(owner),
            last_activity_time: Some(frontdesk_clock::Time(1).to_proto()),
            ..Conversation::default()
        });
        id
    }

    /// Epoch and owner of a conversation; the id of the owner is empty for an unassigned one.
    pub fn owner(&self, conversation: Uuid) -> (i32, String) {
        self.conversations.with(conversation, |row| {
            let owner = row.conversation.assignee.as_ref().map(|owner| owner.id.clone());
            (row.conversation.epoch, owner.unwrap_or_default())
        })
    }

    /// Answers every change of owner with UNAVAILABLE, until the conversations are served again.
    pub fn fail_changes_of_owner(&self) {
        self.fake.on(|_: Request<ChangeAssigneeRequest>| -> Result<ChangeAssigneeResponse, Status> {
            Err(Status::unavailable("not now"))
        });
        self.fake.on(|_: Request<ChangeAssigneesRequest>| -> Result<ChangeAssigneesResponse, Status> {
            Err(Status::unavailable("not now"))
        });
    }

    /// The conversation's history, as an agent of the account reads it.
    pub async fn history(&self, account: AccountId, conversation: Uuid) -> Vec<Assignment> {
        let request =
            ListAssignmentsRequest { conversation_id: conversation.to_string(), ..ListAssignmentsRequest::default() };
        let mut calls = self.assignments(account, new_id());
        calls.list_assignments(request).await.unwrap().into_inner().assignments
    }
}

pub fn account() -> AccountId {
    AccountId(new_id())
}

pub fn new_agent(handle: &str, request_id: &str) -> CreateAgentRequest {
    CreateAgentRequest {
        name: handle.to_uppercase(),
        handle: handle.into(),
        request_id: request_id.into(),
        ..CreateAgentRequest::default()
    }
}

/// Any available agent.
pub fn anybody(strategy: RoutingStrategy) -> RoutingRules {
    let step = RoutingStep { anybody: true, ..RoutingStep::default() };
    RoutingRules { steps: vec![step], strategy: strategy.into(), only_available: true, ..RoutingRules::default() }
}

pub fn new_team(name: &str, request_id: &str) -> CreateTeamRequest {
    CreateTeamRequest { name: name.into(), request_id: request_id.into(), ..CreateTeamRequest::default() }
}

pub fn assign(
    conversation: Uuid,
    agent: &Agent,
    expected_epoch: i32,
    request_id: &str,
) -> Request<AssignConversationRequest> {
    let (conversation_id, agent_id) = (conversation.to_string(), agent.id.clone());
    Request::new(AssignConversationRequest { conversation_id, agent_id, expected_epoch, request_id: request_id.into() })
}

pub fn take_over(conversation: Uuid, expected_epoch: i32, request_id: &str) -> Request<TakeOverConversationRequest> {
    let conversation_id = conversation.to_string();
    Request::new(TakeOverConversationRequest { conversation_id, expected_epoch, request_id: request_id.into() })
}

pub fn unassign(conversation: Uuid, expected_epoch: i32, request_id: &str) -> Request<UnassignConversationRequest> {
    let conversation_id = conversation.to_string();
    Request::new(UnassignConversationRequest { conversation_id, expected_epoch, request_id: request_id.into() })
}

/// Code and reason of a rejection.
pub fn rejection(status: &Status) -> (Code, String) {
    (status.code(), reason(status))
}
