//! `RosterService`.

use frontdesk_api::{parse_id, parse_optional_id, validated};
use frontdesk_idempotency::Key;
use frontdesk_proto::assignment::v1::{
    CreateAgentRequest, CreateAgentResponse, DeactivateAgentRequest, DeactivateAgentResponse, GetAgentRequest,
    GetAgentResponse, ListAgentsRequest, ListAgentsResponse, ReactivateAgentRequest, ReactivateAgentResponse,
    UpdateAgentRequest, UpdateAgentResponse, roster_service_server::RosterService,
};
use tonic::{Request, Response, Status};

use super::convert;
use crate::{
    App,
    commands::{self, CreateAgent, UpdateAgent},
    domain::AgentChange,
    queries::{self, AgentFilter},
};

/// Serves `RosterService`.
pub(crate) struct Roster(pub(crate) App);

#[tonic::async_trait]
impl RosterService for Roster {
    async fn create_agent(
        &self,
        request: Request<CreateAgentRequest>,
    ) -> Result<Response<CreateAgentResponse>, Status> {
        let (caller, request) = validated(request)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let command = CreateAgent {
            id: parse_optional_id("agent_id", &request.agent_id)?,
            name: request.name,
            handle: request.handle,
            email: convert::email(&request.email)?,
            capacity: request.capacity.and_then(convert::capacity).unwrap_or_default(),
        };
        let agent = commands::create_agent(&self.0, &caller, &key, command).await?;
        Ok(Response::new(CreateAgentResponse { agent: Some(convert::agent(agent)) }))
    }

    async fn get_agent(&self, request: Request<GetAgentRequest>) -> Result<Response<GetAgentResponse>, Status> {
        let (caller, request) = validated(request)?;
        let agent = queries::get_agent(&self.0, &caller, parse_id("agent_id", &request.agent_id)?).await?;
        Ok(Response::new(GetAgentResponse { agent: Some(convert::agent(agent)) }))
    }

    async fn list_agents(&self, request: Request<ListAgentsRequest>) -> Result<Response<ListAgentsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let (pages, show_deactivated) = (&self.0.pages, request.show_deactivated);
        let team = parse_optional_id("team_id", &request.team_id)?;
        let filter = ListAgentsRequest { show_deactivated, team_id: request.team_id, ..ListAgentsRequest::default() };
        let page = pages.read_request(&caller, &filter, request.page_size, &request.page_token)?;
        let filter = AgentFilter { show_deactivated, team, availability: None };
        let mut agents = queries::list_agents(&self.0, &caller, filter, &page).await?;
        let next_page_token = pages.next_page_token(page, &mut agents, |agent| (agent.name.clone(), agent.id))?;
        let agents = agents.into_iter().map(convert::agent).collect();
        Ok(Response::new(ListAgentsResponse { agents, next_page_token }))
    }

    async fn update_agent(
        &self,
        request: Request<UpdateAgentRequest>,
    ) -> Result<Response<UpdateAgentResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = UpdateAgent {
            id: parse_id("agent_id", &request.agent_id)?,
            change: AgentChange {
                name: request.name,
                handle: request.handle,
                email: request.email.as_deref().map(convert::email).transpose()?,
                capacity: request.capacity.and_then(convert::capacity),
            },
            etag: request.etag,
        };
        let agent = commands::update_agent(&self.0, &caller, command).await?;
        Ok(Response::new(UpdateAgentResponse { agent: Some(convert::agent(agent)) }))
    }

    async fn deactivate_agent(
        &self,
        request: Request<DeactivateAgentRequest>,
    ) -> Result<Response<DeactivateAgentResponse>, Status> {
        let (caller, request) = validated(request)?;
        let agent = commands::deactivate_agent(&self.0, &caller, parse_id("agent_id", &request.agent_id)?).await?;
        Ok(Response::new(DeactivateAgentResponse { agent: Some(convert::agent(agent)) }))
    }

    async fn reactivate_agent(
        &self,
        request: Request<ReactivateAgentRequest>,
    ) -> Result<Response<ReactivateAgentResponse>, Status> {
        let (caller, request) = validated(request)?;
        let agent = commands::reactivate_agent(&self.0, &caller, parse_id("agent_id", &request.agent_id)?).await?;
        Ok(Response::new(ReactivateAgentResponse { agent: Some(convert::agent(agent)) }))
    }
}
