//! Asking the assignment service, which owns the roster of agents, the opening hours, the queues of routing and the history of owners.

use std::{collections::HashMap, time::Duration};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, AccountRows};
use frontdesk_opening_hours::Schedule;
use frontdesk_proto::{
    actor::v1::Actor,
    assignment::{
        internal::v1::{ListAccountRowsRequest, account_row_service_client::AccountRowServiceClient},
        v1::{
            self as pb, GetAgentRequest, GetOpeningHoursRequest, GetQueuePlacesRequest, GetRoutingPolicyRequest,
            GetTeamRequest, GetTeamResponse, ListAssignmentsRequest,
            assignment_service_client::AssignmentServiceClient,
            opening_hours_service_client::OpeningHoursServiceClient, roster_service_client::RosterServiceClient,
            routing_policy_service_client::RoutingPolicyServiceClient, routing_service_client::RoutingServiceClient,
            team_service_client::TeamServiceClient,
        },
    },
};
use serde_json::{Value, json};
use tonic::Status;
use uuid::Uuid;

use crate::{
    App,
    domain::{AboutPlace, Agent, OpeningHours, RecordPage, RosterState, RoutingPolicy, Team, record_time},
};

/// Number of assignments that are asked for at once.
const PAGE_SIZE: i32 = 200;

/// The agent, as the roster has them now.
pub(crate) async fn get_agent(app: &App, account: AccountId, id: Uuid) -> Result<Agent, Status> {
    let mut roster = RosterServiceClient::new(app.assignment.for_account(account));
    let response = roster.get_agent(GetAgentRequest { agent_id: id.to_string() }).await?.into_inner();
    response.agent.and_then(|agent| read(account, agent)).ok_or_else(|| Status::internal("the answer holds no agent"))
}

/// A page of the owners that the conversation had, as records of an export.
pub(crate) async fn list_assignments(
    app: &App,
    account: AccountId,
    conversation: Uuid,
    page_token: String,
) -> Result<RecordPage, Status> {
    let mut service = AssignmentServiceClient::new(app.assignment.for_account(account));
    let request =
        ListAssignmentsRequest { conversation_id: conversation.to_string(), page_size: PAGE_SIZE, page_token };
    let response = service.list_assignments(request).await?.into_inner();
    let record = |assignment: &pb::Assignment| {
        json!({
            "record": "assignment",
            "conversation_id": assignment.conversation_id,
            "epoch": assignment.epoch,
            "owner": assignment.owner.as_ref().map(actor),
            "by": assignment.by.as_ref().map(actor),
            "cause": assignment.cause().as_str_name().trim_start_matches("ASSIGNMENT_CAUSE_"),
            "start_time": assignment.start_time.as_ref().map(Time::from_proto).map(record_time),
            "end_time": assignment.end_time.as_ref().map(Time::from_proto).map(record_time),
        })
    };
    let records = response.assignments.iter().map(record).collect();
    Ok(RecordPage { records, next_page_token: response.next_page_token })
}

fn actor(actor: &Actor) -> Value {
    json!({ "kind": actor.kind().as_str_name().trim_start_matches("ACTOR_KIND_"), "id": actor.id })
}

/// The team and its members, as the roster has them now.
pub(crate) async fn get_team(app: &App, account: AccountId, id: Uuid) -> Result<Team, Status> {
    let mut teams = TeamServiceClient::new(app.assignment.for_account(account));
    let response = teams.get_team(GetTeamRequest { team_id: id.to_string() }).await?.into_inner();
    read_team(account, response).ok_or_else(|| Status::internal("the answer holds no team"))
}

fn read_team(account: AccountId, response: GetTeamResponse) -> Option<Team> {
    let team = response.team?;
    let members = if team.delete_time.is_none() { response.agent_ids } else { Vec::new() };
    let members = members.iter().map(|id| id.parse().ok()).collect::<Option<_>>()?;
    Some(Team { account, id: team.id.parse().ok()?, version: team.version.into(), members })
}

fn read(account: AccountId, agent: pb::Agent) -> Option<Agent> {
    let roster = RosterState { active: agent.deactivate_time.is_none(), version: agent.version.into() };
    Some(Agent { account, id: agent.id.parse().ok()?, name: agent.name, roster: Some(roster) })
}

/// The opening hours, as their service has them now.
pub(crate) async fn get_opening_hours(app: &App, account: AccountId, id: Uuid) -> Result<OpeningHours, Status> {
    let mut service = OpeningHoursServiceClient::new(app.assignment.for_account(account));
    let request = GetOpeningHoursRequest { opening_hours_id: id.to_string() };
    let hours = service.get_opening_hours(request).await?.into_inner().opening_hours;
    let hours = hours.and_then(|hours| read_opening_hours(account, hours));
    hours.ok_or_else(|| Status::internal("the answer holds no opening hours"))
}

/// The routing policy, as its service has it now.
pub(crate) async fn get_routing_policy(app: &App, account: AccountId, id: Uuid) -> Result<RoutingPolicy, Status> {
    let mut service = RoutingPolicyServiceClient::new(app.assignment.for_account(account));
    let request = GetRoutingPolicyRequest { routing_policy_id: id.to_string() };
    let policy = service.get_routing_policy(request).await?.into_inner().routing_policy;
    let policy = policy.and_then(|policy| read_routing_policy(account, &policy));
    policy.ok_or_else(|| Status::internal("the answer holds no routing policy"))
}

fn read_routing_policy(account: AccountId, policy: &pb::RoutingPolicy) -> Option<RoutingPolicy> {
    let (deleted, version) = (policy.delete_time.is_some(), policy.version.into());
    Some(RoutingPolicy { account, id: policy.id.parse().ok()?, deleted, version })
}

/// The places of those of these conversations that wait, as their visitors are shown them. At most 500.
pub(crate) async fn get_queue_places(
    app: &App,
    account: AccountId,
    conversations: &[Uuid],
) -> Result<HashMap<Uuid, AboutPlace>, Status> {
    let mut service = RoutingServiceClient::new(app.assignment.for_account(account));
    let request = GetQueuePlacesRequest { conversation_ids: conversations.iter().map(Uuid::to_string).collect() };
    let places = service.get_queue_places(request).await?.into_inner().places;
    let read = |place: pb::QueuePlace| {
        let wait = place.expected_wait.and_then(|wait| Duration::try_from(wait).ok());
        Some((place.conversation_id.parse().ok()?, AboutPlace::new(place.place.into(), wait)))
    };
    Ok(places.into_iter().filter_map(read).collect())
}

fn read_opening_hours(account: AccountId, hours: pb::OpeningHours) -> Option<OpeningHours> {
    let mut schedule = Schedule::from(hours.schedule?);
    // Names of dates are for the team.
    schedule.exceptions.iter_mut().for_each(|exception| exception.name.clear());
    let (deleted, version) = (hours.delete_time.is_some(), hours.version.into());
    Some(OpeningHours { account, id: hours.id.parse().ok()?, schedule, deleted, version })
}

/// A page of all that the service stores of the account, as records of an export.
pub(crate) async fn list_account_rows(app: &App, account: AccountId, cursor: String) -> Result<AccountRows, Status> {
    let mut rows = AccountRowServiceClient::new(app.assignment.for_account(account));
    let page = rows.list_account_rows(ListAccountRowsRequest { cursor }).await?.into_inner();
    Ok(AccountRows { records: page.records, next_cursor: page.next_cursor })
}
