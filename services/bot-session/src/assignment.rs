//! Client of the assignment service, which owns the roster of agents, the teams and the routing policies.

use frontdesk_client::Peer;
use frontdesk_db::AccountId;
use frontdesk_proto::assignment::v1::{
    GetAgentRequest, GetRoutingPolicyRequest, GetTeamRequest, roster_service_client::RosterServiceClient,
    routing_policy_service_client::RoutingPolicyServiceClient, team_service_client::TeamServiceClient,
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::domain::RoutingTarget;

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

/// Returns whether the account has the routing policy or team, and it is not deleted.
pub(crate) async fn has_target(peer: &Peer, account: AccountId, target: RoutingTarget) -> Result<bool, Status> {
    let found = match target {
        RoutingTarget::Policy(id) => {
            let mut policies = RoutingPolicyServiceClient::new(peer.for_account(account));
            let request = GetRoutingPolicyRequest { routing_policy_id: id.to_string() };
            let found = policies.get_routing_policy(request).await;
            found.map(|found| found.into_inner().routing_policy.is_some_and(|policy| policy.delete_time.is_none()))
        }
        RoutingTarget::Team(id) => {
            let mut teams = TeamServiceClient::new(peer.for_account(account));
            let found = teams.get_team(GetTeamRequest { team_id: id.to_string() }).await;
            found.map(|found| found.into_inner().team.is_some_and(|team| team.delete_time.is_none()))
        }
    };
    match found {
        Err(status) if status.code() == Code::NotFound => Ok(false),
        found => found,
    }
}
