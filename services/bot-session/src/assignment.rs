//! Client of the assignment service, which owns the roster of agents, teams, routing policies and opening hours.

use frontdesk_client::Peer;
use frontdesk_db::AccountId;
use frontdesk_opening_hours::Schedule;
use frontdesk_proto::assignment::v1::{
    self as proto, GetAgentRequest, GetOpeningHoursRequest, GetRoutingPolicyRequest, GetTeamRequest,
    opening_hours_service_client::OpeningHoursServiceClient, roster_service_client::RosterServiceClient,
    routing_policy_service_client::RoutingPolicyServiceClient, team_service_client::TeamServiceClient,
};
use tonic::{Code, Response, Status};
use uuid::Uuid;

use crate::domain::OpeningHours;

/// The state of an agent on the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AgentState {
    Active,
    Deactivated,
    /// The account has no agent with the id.
    Unknown,
}

/// Returns the state of the agent on the roster.
pub(crate) async fn get_agent_state(peer: &Peer, account: AccountId, agent: Uuid) -> Result<AgentState, Status> {
    let mut roster = RosterServiceClient::new(peer.for_account(account));
    match roster.get_agent(GetAgentRequest { agent_id: agent.to_string() }).await {
        Ok(response) => {
            let agent = response.into_inner().agent.ok_or_else(|| Status::internal("the response has no agent"))?;
            Ok(if agent.deactivate_time.is_none() { AgentState::Active } else { AgentState::Deactivated })
        }
        Err(status) if status.code() == Code::NotFound => Ok(AgentState::Unknown),
        Err(status) => Err(status),
    }
}

/// Returns whether the account has the routing policy, and it is not deleted.
pub(crate) async fn has_routing_policy(peer: &Peer, account: AccountId, policy: Uuid) -> Result<bool, Status> {
    let mut policies = RoutingPolicyServiceClient::new(peer.for_account(account));
    let request = GetRoutingPolicyRequest { routing_policy_id: policy.to_string() };
    let response = found(policies.get_routing_policy(request).await)?;
    Ok(response.and_then(|response| response.routing_policy).is_some_and(|policy| policy.delete_time.is_none()))
}

/// Returns whether the account has the team, and it is not deleted.
pub(crate) async fn has_team(peer: &Peer, account: AccountId, team: Uuid) -> Result<bool, Status> {
    let mut teams = TeamServiceClient::new(peer.for_account(account));
    let response = found(teams.get_team(GetTeamRequest { team_id: team.to_string() }).await)?;
    Ok(response.and_then(|response| response.team).is_some_and(|team| team.delete_time.is_none()))
}

/// Returns the opening hours as their service has them now, deleted or not. None: the account has none with this id.
pub(crate) async fn find_opening_hours(
    peer: &Peer,
    account: AccountId,
    id: Uuid,
) -> Result<Option<OpeningHours>, Status> {
    let mut service = OpeningHoursServiceClient::new(peer.for_account(account));
    let request = GetOpeningHoursRequest { opening_hours_id: id.to_string() };
    let Some(response) = found(service.get_opening_hours(request).await)? else { return Ok(None) };
    let hours = response.opening_hours.and_then(|hours| read_opening_hours(account, hours));
    hours.map(Some).ok_or_else(|| Status::internal("the response has no opening hours"))
}

/// Returns the response. None: there is no such resource.
pub(crate) fn found<T>(response: Result<Response<T>, Status>) -> Result<Option<T>, Status> {
    match response {
        Ok(response) => Ok(Some(response.into_inner())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status),
    }
}

fn read_opening_hours(account: AccountId, hours: proto::OpeningHours) -> Option<OpeningHours> {
    let mut schedule = Schedule::from(hours.schedule?);
    // Names of dates are for the team.
    schedule.exceptions.iter_mut().for_each(|exception| exception.name.clear());
    let (deleted, version) = (hours.delete_time.is_some(), hours.version.into());
    Some(OpeningHours { account, id: hours.id.parse().ok()?, schedule, deleted, version })
}
