//! Asking the assignment service, which owns the roster of agents.

use frontdesk_db::AccountId;
use frontdesk_proto::assignment::v1::{self as pb, GetAgentRequest, roster_service_client::RosterServiceClient};
use tonic::Status;
use uuid::Uuid;

use crate::{
    App,
    domain::{Agent, RosterState},
};

/// The agent, as the roster has them now.
pub(crate) async fn get_agent(app: &App, account: AccountId, id: Uuid) -> Result<Agent, Status> {
    let mut roster = RosterServiceClient::new(app.assignment.for_account(account));
    let response = roster.get_agent(GetAgentRequest { agent_id: id.to_string() }).await?.into_inner();
    response.agent.and_then(|agent| read(account, agent)).ok_or_else(|| Status::internal("the answer holds no agent"))
}

fn read(account: AccountId, agent: pb::Agent) -> Option<Agent> {
    let roster = RosterState { active: agent.deactivate_time.is_none(), version: agent.version.into() };
    Some(Agent { account, id: agent.id.parse().ok()?, name: agent.name, roster: Some(roster) })
}
