//! `AssignmentEventService`.

use frontdesk_api::validated;
use frontdesk_event_streams::{EventUpdate, ResponseStream, Subscription, Update};
use frontdesk_proto::{
    event::v1::{
        SubscribeAssignmentEventsRequest, SubscribeAssignmentEventsResponse,
        assignment_event_service_server::AssignmentEventService, subscribe_assignment_events_response as response,
    },
    watch::v1::{CaughtUp, Heartbeat},
};
use tonic::{Request, Response, Status};

use crate::App;

/// Serves `AssignmentEventService`.
pub(crate) struct Events(pub(crate) App);

#[tonic::async_trait]
impl AssignmentEventService for Events {
    type SubscribeAssignmentEventsStream = ResponseStream<SubscribeAssignmentEventsResponse>;

    async fn subscribe_assignment_events(
        &self,
        request: Request<SubscribeAssignmentEventsRequest>,
    ) -> Result<Response<Self::SubscribeAssignmentEventsStream>, Status> {
        let (caller, request) = validated(request)?;
        let start = request.start();
        let subscription = Subscription { filter: request.filter, cursor: request.cursor, start };
        Ok(Response::new(self.0.events.subscribe(&caller, subscription, to_response).await?))
    }
}

fn to_response(EventUpdate { update, cursor }: EventUpdate) -> SubscribeAssignmentEventsResponse {
    let update = match update {
        Update::Published(event) => response::Update::Published(*event),
        Update::CaughtUp => response::Update::CaughtUp(CaughtUp {}),
        Update::Heartbeat => response::Update::Heartbeat(Heartbeat {}),
    };
    SubscribeAssignmentEventsResponse { update: Some(update), cursor }
}
