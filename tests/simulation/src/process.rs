//! The four services in one process, whose background tasks run only when the scheduler gives them a turn.

use std::{collections::HashMap, convert::Infallible, path::Path, sync::Arc, task::Poll, time::Duration};

use frontdesk_auth::{ACCOUNT_HEADER, ACTOR_HEADER, Caller, InstallationSecret};
use frontdesk_bus::Bus;
use frontdesk_chaos::cluster::Service;
use frontdesk_client::{Peer, PeerError};
use frontdesk_clock::{Clock, StandingTask};
use frontdesk_conversation::ConversationSettings;
use frontdesk_db::{AccountId, Db};
use frontdesk_notification::NotificationSettings;
use frontdesk_service::{AnyService, ServiceContext, ServiceDefinition};
use frontdesk_settings::Secret;
use frontdesk_transport::{InProcessConnection, InProcessConnector, InProcessListener};
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    service::{Routes, RoutesBuilder},
};
use tower::ServiceExt;

use crate::Failure;

/// The secret of the installation.
const SECRET: &str = "a secret of the simulation, which signs nothing that leaves it";
/// Limit of automatic transcripts, of each kind. The checker knows none, so none is reached.
const MANY_MAILS: u64 = 1_000_000;

/// Name of the worker that closes the conversations of inactive visitors.
pub(crate) const TIMEOUTS: &str = "timeouts";
/// Name of the worker that sends mails.
pub(crate) const DELIVERIES: &str = "deliveries";

/// The services. Dropping it is a kill: whatever is only in memory is gone.
pub(crate) struct Process {
    /// The bus, with the consumers of the services.
    pub(crate) bus: Bus,
    routes: Routes,
    workers: HashMap<&'static str, StandingTask>,
    /// What calls need at once: the connections between the services, and the writer of messages.
    _tasks: JoinSet<()>,
}

/// The services without their databases, in the order of [`Service::ALL`].
pub(crate) fn definitions() -> [ServiceDefinition; 4] {
    [
        ServiceDefinition::of::<frontdesk_conversation::App>(),
        ServiceDefinition::of::<frontdesk_assignment::App>(),
        ServiceDefinition::of::<frontdesk_bot_session::App>(),
        ServiceDefinition::of::<frontdesk_notification::App>(),
    ]
}

impl Process {
    /// Builds the services on their databases, in the order of [`Service::ALL`], and on that of the bus.
    pub(crate) async fn start(databases: &[Db; 4], bus: &Db, clock: &Clock, folder: &Path) -> Result<Self, Failure> {
        let bus = Bus::in_process(bus.clone(), clock).await?;
        let (connector, listener) = InProcessConnector::new();
        let secret = InstallationSecret::try_new(&Secret::from(SECRET.to_owned()), &Secret::default(), clock)?;
        let shutdown = CancellationToken::new();
        let [conversation, assignment, bot_session, notification] = std::array::from_fn(|index| {
            let (name, connector) = (Service::ALL[index].name(), connector.clone());
            ServiceContext {
                db: databases[index].clone(),
                clock: clock.clone(),
                bus: bus.clone(),
                secret: secret.clone(),
                data_folder: folder.to_owned(),
                shutdown: shutdown.clone(),
                peers: Arc::new(move |_| Ok::<_, PeerError>(Peer::in_process(&connector, name))),
            }
        });
        let services = [
            <dyn AnyService>::build::<frontdesk_conversation::App>(conversation, ConversationSettings::default())?,
            <dyn AnyService>::build::<frontdesk_assignment::App>(assignment, Default::default())?,
            <dyn AnyService>::build::<frontdesk_bot_session::App>(bot_session, ())?,
            <dyn AnyService>::build::<frontdesk_notification::App>(notification, one_mail_at_a_time())?,
        ];
        let (mut routes, mut workers, mut tasks) = (RoutesBuilder::default(), HashMap::new(), JoinSet::new());
        for service in &services {
            service.subscribe(&bus);
            service.routes(&mut routes);
            for worker in service.workers() {
                match worker.name() {
                    "message-writer" => drop(tasks.spawn(worker.start())),
                    name @ (TIMEOUTS | DELIVERIES) => drop(workers.insert(name, StandingTask::new(worker.start()))),
                    _ => {}
                }
            }
        }
        let routes = routes.routes().prepare();
        tasks.spawn(accept(listener, routes.clone()));
        Ok(Self { bus, routes, workers, _tasks: tasks })
    }

    /// Calls of this caller.
    pub(crate) fn calls(&self, caller: Caller) -> Calls {
        Calls { routes: self.routes.clone(), caller }
    }

    /// The worker of this name. It runs only while it is polled. None: no service has it.
    pub(crate) fn worker(&mut self, name: &'static str) -> Option<&mut StandingTask> {
        self.workers.get_mut(name)
    }
}

/// The worker waits for its next turn when each due mail is sent, one after the other.
fn one_mail_at_a_time() -> NotificationSettings {
    NotificationSettings {
        deliveries_at_once: 1,
        automatic_interval_per_conversation: Duration::ZERO,
        automatic_per_conversation_per_hour: MANY_MAILS,
        automatic_per_recipient_per_day: MANY_MAILS,
        automatic_per_account_per_hour: MANY_MAILS,
        unverified_per_contact_per_day: MANY_MAILS,
        unverified_per_account_per_day: MANY_MAILS,
        ..NotificationSettings::default()
    }
}

/// Serves the connections between the services until it is aborted.
async fn accept(mut listener: InProcessListener, routes: Routes) {
    let mut connections = JoinSet::new();
    while let Some(InProcessConnection { service, stream }) = listener.accept().await {
        let routes = routes.clone();
        let answer = service_fn(move |mut request: Request<Incoming>| {
            let caller = calling_service(&service, request.headers());
            request.extensions_mut().insert(caller);
            routes.clone().oneshot(request)
        });
        connections.spawn(async move {
            let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer);
            let _ = connection.await;
        });
    }
}

/// The service at the other end of a connection, and the account and actor that its call names, as the server reads them.
fn calling_service(name: &str, headers: &HeaderMap) -> Caller {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut caller = Caller::service(name);
    if let Some(account) = header(ACCOUNT_HEADER).and_then(|account| account.parse().ok()) {
        caller.account = AccountId(account);
    }
    if let Some(actor) = header(ACTOR_HEADER).and_then(|actor| actor.parse().ok()) {
        caller.actor = actor;
    }
    caller
}

/// Calls of one caller, which is authenticated. They reach the services without a connection.
#[derive(Clone)]
pub(crate) struct Calls {
    routes: Routes,
    caller: Caller,
}

impl tower::Service<Request<Body>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.extensions_mut().insert(self.caller.clone());
        Box::pin(self.routes.clone().oneshot(request))
    }
}
