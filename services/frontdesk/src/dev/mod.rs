//! What only a process that accepts the development key serves: moving the clock, the mailbox of the caller's account, and the example
//! pages.

mod clock;
mod example;
mod mailbox;

use frontdesk_clock::Clock;
use frontdesk_proto::dev::v1::{
    clock_service_server::{self, ClockServiceServer},
    mailbox_service_server::{self, MailboxServiceServer},
};
use tonic::service::RoutesBuilder;
use uuid::Uuid;

pub use clock::{clock, clock_file};
pub(crate) use example::{ExamplePages, PAGE_SERVICES};
pub(crate) use mailbox::Mailbox;

/// The account of `frontdesk token`, where none is named, and of the example pages.
pub const DEVELOPMENT_ACCOUNT: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001);

/// Full names of the gRPC services that [`routes`] adds.
pub(crate) const GRPC_SERVICES: &[&str] = &[clock_service_server::SERVICE_NAME, mailbox_service_server::SERVICE_NAME];

/// Adds the development services. `shared`: other processes follow this clock.
pub(crate) fn routes(clock: Clock, mailbox: Mailbox, shared: bool, routes: &mut RoutesBuilder) {
    routes.add_service(ClockServiceServer::new(clock::MovableClock { clock, shared }));
    routes.add_service(MailboxServiceServer::new(mailbox));
}
