//! `NotificationEventService`.

use frontdesk_api::validated;
use frontdesk_event_streams::{EventUpdate, ResponseStream, Subscription, Update};
use frontdesk_proto::{
    event::v1::{
        SubscribeNotificationEventsRequest, SubscribeNotificationEventsResponse,
        notification_event_service_server::NotificationEventService,
        subscribe_notification_events_response as response,
    },
    watch::v1::{CaughtUp, Heartbeat},
};
use tonic::{Request, Response, Status};

use crate::App;

/// Serves `NotificationEventService`.
pub(crate) struct Events(pub(crate) App);

#[tonic::async_trait]
impl NotificationEventService for Events {
    type SubscribeNotificationEventsStream = ResponseStream<SubscribeNotificationEventsResponse>;

    async fn subscribe_notification_events(
        &self,
        request: Request<SubscribeNotificationEventsRequest>,
    ) -> Result<Response<Self::SubscribeNotificationEventsStream>, Status> {
        let (caller, request) = validated(request)?;
        let start = request.start();
        let subscription = Subscription { filter: request.filter, cursor: request.cursor, start };
        Ok(Response::new(self.0.events.subscribe(&caller, subscription, to_response).await?))
    }
}

fn to_response(EventUpdate { update, cursor }: EventUpdate) -> SubscribeNotificationEventsResponse {
    let update = match update {
        Update::Published(event) => response::Update::Published(*event),
        Update::CaughtUp => response::Update::CaughtUp(CaughtUp {}),
        Update::Heartbeat => response::Update::Heartbeat(Heartbeat {}),
    };
    SubscribeNotificationEventsResponse { update: Some(update), cursor }
}
