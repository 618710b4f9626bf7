//! `AvailabilityService`.

use frontdesk_api::{caller, parse_id, parse_optional_id, validated};
use frontdesk_clock::Time;
use frontdesk_proto::assignment::v1::{
    self as pb, GetAgentStatusRequest, GetAgentStatusResponse, HeartbeatRequest, HeartbeatResponse,
    ListAgentStatusesRequest, ListAgentStatusesResponse, SetAgentAvailabilityRequest, SetAgentAvailabilityResponse,
    SetAvailabilityRequest, SetAvailabilityResponse, availability_service_server::AvailabilityService,
};
use tonic::{Request, Response, Status};

use super::convert;
use crate::{
    App, commands,
    domain::Availability,
    queries::{self, StatusFilter},
};

/// Serves `AvailabilityService`.
pub(crate) struct Statuses(pub(crate) App);

#[tonic::async_trait]
impl AvailabilityService for Statuses {
    async fn set_availability(
        &self,
        request: Request<SetAvailabilityRequest>,
    ) -> Result<Response<SetAvailabilityResponse>, Status> {
        let (caller, request) = validated(request)?;
        let availability = convert::availability(request.availability());
        let status = commands::set_availability(&self.0, &caller, availability.unwrap_or(Availability::Away)).await?;
        Ok(Response::new(SetAvailabilityResponse { status: Some(convert::agent_status(status)) }))
    }

    async fn set_agent_availability(
        &self,
        request: Request<SetAgentAvailabilityRequest>,
    ) -> Result<Response<SetAgentAvailabilityResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("agent_id", &request.agent_id)?;
        let availability = convert::availability(request.availability()).unwrap_or(Availability::Away);
        let status = commands::set_agent_availability(&self.0, &caller, id, availability).await?;
        Ok(Response::new(SetAgentAvailabilityResponse { status: Some(convert::agent_status(status)) }))
    }

    async fn heartbeat(&self, request: Request<HeartbeatRequest>) -> Result<Response<HeartbeatResponse>, Status> {
        // A request without fields has no rules.
        let away_at = commands::heartbeat(&self.0, &caller(&request)?).await?;
        let availability = if away_at.is_some() { Availability::Available } else { Availability::Away };
        Ok(Response::new(HeartbeatResponse {
            next_heartbeat_after: self.0.heartbeats.interval.try_into().ok(),
            away_time: away_at.map(Time::to_proto),
            availability: pb::Availability::from(availability).into(),
        }))
    }

    async fn get_agent_status(
        &self,
        request: Request<GetAgentStatusRequest>,
    ) -> Result<Response<GetAgentStatusResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("agent_id", &request.agent_id)?;
        let status = queries::get_agent_status(&self.0, &caller, id).await?;
        Ok(Response::new(GetAgentStatusResponse { status: Some(convert::agent_status(status)) }))
    }

    async fn list_agent_statuses(
        &self,
        request: Request<ListAgentStatusesRequest>,
    ) -> Result<Response<ListAgentStatusesResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let pages = &self.0.pages;
        let (size, token) = (std::mem::take(&mut request.page_size), std::mem::take(&mut request.page_token));
        let page = pages.read_request(&caller, &request, size, &token)?;
        let filter = StatusFilter {
            team: parse_optional_id("team_id", &request.team_id)?,
            availability: convert::availability(request.availability()),
        };
        let mut statuses = queries::list_agent_statuses(&self.0, &caller, filter, &page).await?;
        let next_page_token = pages.next_page_token(page, &mut statuses, |(position, _)| position.clone())?;
        let statuses = statuses.into_iter().map(|(_, status)| convert::agent_status(status)).collect();
        Ok(Response::new(ListAgentStatusesResponse { statuses, next_page_token }))
    }
}
