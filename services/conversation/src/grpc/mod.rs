//! The gRPC services: a handler validates, calls a command or a query, and converts.

mod channel_service;
mod contact_service;
mod conversation_service;
mod convert;
mod fields;
mod thread_service;
mod ticket_service;
mod visitor_key_cache;
mod visitor_service;

use std::pin::Pin;

use frontdesk_proto::conversation::v1::{
    channel_service_server::{self, ChannelServiceServer},
    contact_service_server::{self, ContactServiceServer},
    conversation_service_server::{self, ConversationServiceServer},
    thread_service_server::{self, ThreadServiceServer},
    ticket_service_server::{self, TicketServiceServer},
    visitor_service_server::{self, VisitorServiceServer},
};
use futures::Stream;
use tonic::{Status, service::RoutesBuilder};

use crate::App;

pub(crate) use visitor_key_cache::VisitorKeyCache;

/// Full names of the gRPC services that [`routes`] adds.
pub(crate) const SERVICES: &[&str] = &[
    channel_service_server::SERVICE_NAME,
    contact_service_server::SERVICE_NAME,
    conversation_service_server::SERVICE_NAME,
    thread_service_server::SERVICE_NAME,
    ticket_service_server::SERVICE_NAME,
    visitor_service_server::SERVICE_NAME,
];

/// Adds the gRPC services.
pub(crate) fn routes(app: &App, routes: &mut RoutesBuilder) {
    routes
        .add_service(ChannelServiceServer::new(Grpc(app.clone())))
        .add_service(ContactServiceServer::new(Grpc(app.clone())))
        .add_service(ConversationServiceServer::new(Grpc(app.clone())))
        .add_service(ThreadServiceServer::new(Grpc(app.clone())))
        .add_service(TicketServiceServer::new(Grpc(app.clone())))
        .add_service(VisitorServiceServer::new(Grpc(app.clone())));
}

/// Serves every gRPC service of this crate.
struct Grpc(App);

/// A stream of responses.
type ResponseStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
