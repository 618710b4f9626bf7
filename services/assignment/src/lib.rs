//! Assignment: the account's roster of agents and teams, their availability and load, changes of a conversation's owner, the history of
//! owners, opening hours, and routing.
//!
//! It promises that a conversation is assigned only to active agents of the roster (rule A2), and that the history of a
//! conversation is the same in whatever order its events arrive (rule A8). It does not decide who owns a conversation: the
//! conversation's row does (rule A1), and this service is the only one that asks it for a change.
//!
//! Start reading at `commands/take_over_conversation.rs`, then `consumers/history.rs`.

mod commands;
mod consumers;
mod conversation;
mod domain;
mod error;
mod grpc;
mod migration;
mod queries;
mod settings;
mod store;
mod workers;

use std::sync::Arc;

use frontdesk_api::Pages;
use frontdesk_bus::Bus;
use frontdesk_client::Peer;
use frontdesk_clock::Clock;
use frontdesk_db::{AccountTable, Db};
use frontdesk_event_streams::EventStreams;
use frontdesk_proto::assignment::{
    internal::v1::account_row_service_server::{self, AccountRowServiceServer},
    v1::{
        assignment_service_server::{self, AssignmentServiceServer},
        availability_service_server::{self, AvailabilityServiceServer},
        opening_hours_service_server::{self, OpeningHoursServiceServer},
        roster_service_server::{self, RosterServiceServer},
        routing_policy_service_server::{self, RoutingPolicyServiceServer},
        routing_service_server::{self, RoutingServiceServer},
        team_service_server::{self, TeamServiceServer},
    },
};
use frontdesk_proto::event::v1::assignment_event_service_server::{self, AssignmentEventServiceServer};
use frontdesk_service::{AccountStates, BuildError, Service, ServiceContext, Worker};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

pub use migration::Migrator;
pub use settings::AssignmentSettings;

/// Name of the service in events, tokens and consumers.
const NAME: &str = "assignment";

/// What every call, consumer and worker of the service needs. Clones share it.
#[derive(Clone)]
pub struct App {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) pages: Pages,
    /// The streams of its events.
    pub(crate) events: EventStreams,
    pub(crate) conversation: Peer,
    pub(crate) heartbeats: domain::HeartbeatPolicy,
    /// Whether agents whom the roster lacks are added to it at their first call.
    pub(crate) creates_agents: bool,
    pub(crate) recent_queues: queries::RecentQueues,
    pub(crate) outcomes: workers::OutcomeCounter,
    /// Wakes the router of this replica: a decision may be due.
    pub(crate) decision_due: Arc<Notify>,
    pub(crate) shutdown: CancellationToken,
}

impl Service for App {
    const NAME: &'static str = NAME;
    const GRPC_SERVICES: &'static [&'static str] = &[
        account_row_service_server::SERVICE_NAME,
        assignment_service_server::SERVICE_NAME,
        availability_service_server::SERVICE_NAME,
        opening_hours_service_server::SERVICE_NAME,
        roster_service_server::SERVICE_NAME,
        routing_policy_service_server::SERVICE_NAME,
        routing_service_server::SERVICE_NAME,
        team_service_server::SERVICE_NAME,
        assignment_event_service_server::SERVICE_NAME,
    ];
    const ACCOUNT_TABLES: &'static [AccountTable] = store::ACCOUNT_TABLES;
    const CALLS: &'static [&'static str] = &["conversation"];
    type Migrator = Migrator;
    type Settings = AssignmentSettings;

    fn try_new(context: ServiceContext, settings: AssignmentSettings) -> Result<Self, BuildError> {
        Ok(Self {
            pages: context.pages(),
            events: EventStreams::new(NAME, &context.db, &context.bus, &context.pages(), &context.shutdown),
            conversation: context.peer("conversation")?,
            db: context.db,
            clock: context.clock,
            heartbeats: settings.heartbeat_policy(),
            creates_agents: settings.create_agents_at_first_call,
            recent_queues: queries::RecentQueues::default(),
            outcomes: workers::OutcomeCounter::new(),
            decision_due: Arc::default(),
            shutdown: context.shutdown,
        })
    }

    fn routes(&self, routes: &mut RoutesBuilder) {
        routes
            .add_service(AccountRowServiceServer::new(grpc::AccountRows(self.clone())))
            .add_service(AssignmentServiceServer::new(grpc::Assignments(self.clone())))
            .add_service(AvailabilityServiceServer::new(grpc::Statuses(self.clone())))
            .add_service(OpeningHoursServiceServer::new(grpc::Hours(self.clone())))
            .add_service(RosterServiceServer::new(grpc::Roster(self.clone())))
            .add_service(RoutingPolicyServiceServer::new(grpc::Policies(self.clone())))
            .add_service(RoutingServiceServer::new(grpc::Routing(self.clone())))
            .add_service(TeamServiceServer::new(grpc::Teams(self.clone())))
            .add_service(AssignmentEventServiceServer::new(grpc::Events(self.clone())));
    }

    fn subscribe(&self, bus: &Bus) {
        let (name, source, db) = ("assignment.account_states", "conversation", self.db.clone());
        bus.subscribe(AccountStates { name, source, service: NAME, db }, &self.db);
        bus.subscribe(consumers::History(self.clone()), &self.db);
        bus.subscribe(consumers::HandedOff(self.clone()), &self.db);
        bus.subscribe(consumers::Load(self.clone()), &self.db);
        bus.subscribe(consumers::ContactErasures(self.clone()), &self.db);
    }

    fn workers(&self) -> Vec<Worker> {
        let (given_back, heartbeats) = (self.clone(), self.clone());
        let (publisher, router, events) = (self.clone(), self.clone(), self.events.clone());
        let measured = self.clone();
        vec![
            Worker::new("event-streams", move || events.clone().read_new_events()),
            Worker::new("given-back", move || workers::give_back(given_back.clone())),
            Worker::new("heartbeats", move || workers::watch_heartbeats(heartbeats.clone())),
            Worker::new("queue-measurements", move || workers::measure_queues(measured.clone())),
            Worker::new("queue-publisher", move || workers::publish_queues(publisher.clone())),
            Worker::new("router", move || workers::route(router.clone())),
        ]
    }
}

impl App {
    /// Returns what wakes the router, once a transaction has committed after which a decision is due. Those that commit before it looks wake
    /// it once.
    fn wake_router(&self) -> impl FnOnce() + Send + Sync + 'static {
        let decision_due = self.decision_due.clone();
        move || decision_due.notify_one()
    }
}
