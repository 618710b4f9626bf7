//! Client of the assignment service, which owns the roster of agents.

use frontdesk_client::Peer;
use frontdesk_db::AccountId;
use frontdesk_proto::assignment::v1::{GetAgentRequest, roster_service_client::RosterServiceClient};
use tonic::{Code, Status};
use uuid::Uuid;

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
