//! Client of the assignment service, which owns the roster of agents.

use frontdesk_client::Peer;
use frontdesk_db::AccountId;
use frontdesk_proto::assignment::v1::{GetAgentRequest, roster_service_client::RosterServiceClient};
use tonic::{Code, Status};
use uuid::Uuid;

/// Returns whether the agent is in the roster and was not deactivated.
pub(crate) async fn is_active(peer: &Peer, account: AccountId, agent: Uuid) -> Result<bool, Status> {
    let mut roster = RosterServiceClient::new(peer.for_account(account));
    match roster.get_agent(GetAgentRequest { agent_id: agent.to_string() }).await {
        Ok(response) => {
            let agent = response.into_inner().agent.ok_or_else(|| Status::internal("the response has no agent"))?;
            Ok(agent.deactivate_time.is_none())
        }
        Err(status) if status.code() == Code::NotFound => Ok(false),
        Err(status) => Err(status),
    }
}
