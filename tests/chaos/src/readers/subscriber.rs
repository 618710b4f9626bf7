//! A subscriber of the events of one service. It stores its cursor after some events, and goes on from there at the next replica when a stream ends.

use std::time::Duration;

use frontdesk_proto::event::v1::{
    EventStart, SubscribeConversationEventsRequest, SubscribeConversationEventsResponse,
    subscribe_conversation_events_response::Update,
};
use tokio_util::task::AbortOnDropHandle;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::Notes;
use crate::{
    cluster::{Failure, Service},
    driver::Caller,
};

/// Number of events after which the cursor is stored: up to as many come again.
const STORED_AFTER: usize = 10;
/// Pause between two streams.
const PAUSE: Duration = Duration::from_millis(50);

struct Subscriber {
    path: &'static str,
    /// A channel to each replica.
    channels: Vec<Channel>,
    bearer: MetadataValue<Ascii>,
    notes: Notes,
}

/// Subscribes to the events of a service at the replicas behind these ports, from the oldest on.
pub(super) fn start(
    service: Service,
    ports: &[u16],
    admin: &Caller,
    notes: &Notes,
) -> Result<AbortOnDropHandle<()>, Failure> {
    let mut channels = Vec::new();
    for port in ports {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?
            .connect_timeout(Duration::from_secs(1))
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(2))
            .keep_alive_timeout(Duration::from_secs(2));
        channels.push(endpoint.connect_lazy());
    }
    let subscriber = Subscriber { path: path(service), channels, bearer: admin.bearer().clone(), notes: notes.clone() };
    Ok(AbortOnDropHandle::new(tokio::spawn(subscriber.run())))
}

fn path(service: Service) -> &'static str {
    match service {
        Service::Conversation => "/frontdesk.event.v1.ConversationEventService/SubscribeConversationEvents",
        Service::Assignment => "/frontdesk.event.v1.AssignmentEventService/SubscribeAssignmentEvents",
        Service::BotSession => "/frontdesk.event.v1.BotSessionEventService/SubscribeBotSessionEvents",
        Service::Notification => "/frontdesk.event.v1.NotificationEventService/SubscribeNotificationEvents",
    }
}

impl Subscriber {
    async fn run(self) {
        let mut cursor = String::new();
        for channel in self.channels.iter().cycle() {
            if let Err(error) = self.follow(channel, &mut cursor).await
                && let Some(status) = error.downcast_ref::<Status>()
                && matches!(status.code(), Code::InvalidArgument | Code::OutOfRange | Code::PermissionDenied)
            {
                self.notes.fail(format!("{} was refused: {status}", self.path));
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Receives events after the cursor until the stream ends.
    async fn follow(&self, channel: &Channel, cursor: &mut String) -> Result<(), Failure> {
        let mut grpc = Grpc::new(channel.clone());
        grpc.ready().await?;
        let start = EventStart::Earliest.into();
        let mut request =
            Request::new(SubscribeConversationEventsRequest { filter: None, cursor: cursor.clone(), start });
        request.metadata_mut().insert("authorization", self.bearer.clone());
        // The messages of all services have the same fields.
        let codec: ProstCodec<SubscribeConversationEventsRequest, SubscribeConversationEventsResponse> =
            ProstCodec::default();
        let path = PathAndQuery::from_static(self.path);
        let mut stream = grpc.server_streaming(request, path, codec).await?.into_inner();
        let mut since_stored = 0;
        while let Some(response) = stream.message().await? {
            match response.update {
                Some(Update::Published(event)) => {
                    self.notes.receive(&event.id, &event.account_id);
                    since_stored += 1;
                }
                _ => since_stored = STORED_AFTER,
            }
            if since_stored >= STORED_AFTER {
                *cursor = response.cursor;
                since_stored = 0;
            }
        }
        Ok(())
    }
}
