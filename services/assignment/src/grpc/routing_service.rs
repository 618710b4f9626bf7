//! `RoutingService`.

use std::pin::Pin;

use frontdesk_api::{live_stream, parse_id, validated};
use frontdesk_proto::assignment::v1::{
    ExplainRoutingRequest, ExplainRoutingResponse, GetQueuePlaceRequest, GetQueuePlaceResponse, GetQueuePlacesRequest,
    GetQueuePlacesResponse, WatchQueuePlaceRequest, WatchQueuePlaceResponse, routing_service_server::RoutingService,
};
use futures::Stream;
use tonic::{Request, Response, Status};

use super::{convert, watch_queue_place::PlaceUpdates};
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
        let place = queries::get_queue_place(&self.0, &caller, id).await?;
        let place = convert::queue_place(id, place);
        Ok(Response::new(GetQueuePlaceResponse {
            place: place.place,
            waiting: place.waiting,
            expected_wait: place.expected_wait,
        }))
    }

    async fn get_queue_places(
        &self,
        request: Request<GetQueuePlacesRequest>,
    ) -> Result<Response<GetQueuePlacesResponse>, Status> {
        let (caller, request) = validated(request)?;
        let ids = convert::ids("conversation_ids", &request.conversation_ids)?;
        let places = queries::get_queue_places(&self.0, &caller, ids).await?;
        let places = places.into_iter().map(|(id, place)| convert::queue_place(id, place)).collect();
        Ok(Response::new(GetQueuePlacesResponse { places }))
    }

    type WatchQueuePlaceStream = Pin<Box<dyn Stream<Item = Result<WatchQueuePlaceResponse, Status>> + Send>>;

    async fn watch_queue_place(
        &self,
        request: Request<WatchQueuePlaceRequest>,
    ) -> Result<Response<Self::WatchQueuePlaceStream>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        queries::require_conversation(&self.0, &caller, id).await?;
        let updates = PlaceUpdates::new(self.0.clone(), caller.account, id);
        Ok(Response::new(Box::pin(live_stream(updates, self.0.shutdown.clone()))))
    }
}
