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

/// Client of the assignment service. Each call is made as this service, for one account.
#[derive(Clone)]
pub(crate) struct AssignmentClient(pub(crate) Peer);

impl AssignmentClient {
    /// Returns the address of an active agent that mail may go to. None: there is none.
    pub(crate) async fn get_agent_email(&self, account: AccountId, id: Uuid) -> Result<Option<String>, Status> {
        let mut roster = RosterServiceClient::new(self.0.for_account(account));
        let agent = match roster.get_agent(GetAgentRequest { agent_id: id.to_string() }).await {
            Ok(response) => response.into_inner().agent,
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => return Err(status),
        };
        let active = agent.filter(|agent| agent.deactivate_time.is_none());
        Ok(active.and_then(|agent| frontdesk_mail_address::normalized(&agent.email)))
    }

    pub(crate) async fn get_agent_state(&self, account: AccountId, id: Uuid) -> Result<AgentState, Status> {
        let mut roster = RosterServiceClient::new(self.0.for_account(account));
        match roster.get_agent(GetAgentRequest { agent_id: id.to_string() }).await {
            Ok(response) => {
                let agent = response.into_inner().agent.ok_or_else(|| Status::internal("the response has no agent"))?;
                Ok(if agent.deactivate_time.is_none() { AgentState::Active } else { AgentState::Deactivated })
            }
            Err(status) if status.code() == Code::NotFound => Ok(AgentState::Unknown),
            Err(status) => Err(status),
        }
    }
}
