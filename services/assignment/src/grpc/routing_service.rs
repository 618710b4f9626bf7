//! `RoutingService`.

use frontdesk_api::{parse_id, validated};
use frontdesk_proto::assignment::v1::{
    ExplainRoutingRequest, ExplainRoutingResponse, GetQueuePlaceRequest, GetQueuePlaceResponse,
    routing_service_server::RoutingService,
};
use tonic::{Request, Response, Status};

use super::convert;
use crate::{App, queries};

/// Serves `RoutingService`.
pub(crate) struct Routing(pub(crate) App);

#[tonic::async_trait]
impl RoutingService for Routing {
    async fn explain_routing(
        &self,
        request: Request<ExplainRoutingRequest>,
    ) -> Result<Response<ExplainRoutingResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        let explanation = queries::explain_routing(&self.0, &caller, id).await?;
        Ok(Response::new(convert::explanation(explanation)))
    }

    async fn get_queue_place(
        &self,
        request: Request<GetQueuePlaceRequest>,
    ) -> Result<Response<GetQueuePlaceResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        let (place, waiting) = queries::get_queue_place(&self.0, &caller, id).await?;
        Ok(Response::new(GetQueuePlaceResponse { place: convert::counter(place), waiting: convert::counter(waiting) }))
    }
}
