//! `ConversationEventService`.

use frontdesk_api::validated;
use frontdesk_event_streams::{EventUpdate, ResponseStream, Subscription, Update};
use frontdesk_proto::{
    event::v1::{
        SubscribeConversationEventsRequest, SubscribeConversationEventsResponse,
        conversation_event_service_server::ConversationEventService,
        subscribe_conversation_events_response as response,
    },
    watch::v1::{CaughtUp, Heartbeat},
};
use tonic::{Request, Response, Status};

use crate::App;

/// Serves `ConversationEventService`.
pub(crate) struct Events(pub(crate) App);

#[tonic::async_trait]
impl ConversationEventService for Events {
    type SubscribeConversationEventsStream = ResponseStream<SubscribeConversationEventsResponse>;

    async fn subscribe_conversation_events(
        &self,
        request: Request<SubscribeConversationEventsRequest>,
    ) -> Result<Response<Self::SubscribeConversationEventsStream>, Status> {
        let (caller, request) = validated(request)?;
        let start = request.start();
        let subscription = Subscription { filter: request.filter, cursor: request.cursor, start };
        Ok(Response::new(self.0.events.subscribe(&caller, subscription, to_response).await?))
    }
}

fn to_response(EventUpdate { update, cursor }: EventUpdate) -> SubscribeConversationEventsResponse {
    let update = match update {
        Update::Published(event) => response::Update::Published(*event),
        Update::CaughtUp => response::Update::CaughtUp(CaughtUp {}),
        Update::Heartbeat => response::Update::Heartbeat(Heartbeat {}),
    };
    SubscribeConversationEventsResponse { update: Some(update), cursor }
}
