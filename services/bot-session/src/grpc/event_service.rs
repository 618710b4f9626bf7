//! `BotSessionEventService`.

use frontdesk_api::validated;
use frontdesk_event_streams::{EventUpdate, ResponseStream, Subscription, Update};
use frontdesk_proto::{
    event::v1::{
        SubscribeBotSessionEventsRequest, SubscribeBotSessionEventsResponse,
        bot_session_event_service_server::BotSessionEventService, subscribe_bot_session_events_response as response,
    },
    watch::v1::{CaughtUp, Heartbeat},
};
use tonic::{Request, Response, Status};

use crate::App;

/// Serves `BotSessionEventService`.
pub(crate) struct Events(pub(crate) App);

#[tonic::async_trait]
impl BotSessionEventService for Events {
    type SubscribeBotSessionEventsStream = ResponseStream<SubscribeBotSessionEventsResponse>;

    async fn subscribe_bot_session_events(
        &self,
        request: Request<SubscribeBotSessionEventsRequest>,
    ) -> Result<Response<Self::SubscribeBotSessionEventsStream>, Status> {
        let (caller, request) = validated(request)?;
        let start = request.start();
        let subscription = Subscription { filter: request.filter, cursor: request.cursor, start };
        Ok(Response::new(self.0.events.subscribe(&caller, subscription, to_response).await?))
    }
}

fn to_response(EventUpdate { update, cursor }: EventUpdate) -> SubscribeBotSessionEventsResponse {
    let update = match update {
        Update::Published(event) => response::Update::Published(*event),
        Update::CaughtUp => response::Update::CaughtUp(CaughtUp {}),
        Update::Heartbeat => response::Update::Heartbeat(Heartbeat {}),
    };
    SubscribeBotSessionEventsResponse { update: Some(update), cursor }
}
