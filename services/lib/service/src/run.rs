//! Running services in a process.

use std::{future::Future, sync::Arc, time::Duration};

use frontdesk_bus::Bus;
use frontdesk_db::{Db, Retention};
use tokio::{net::TcpListener, sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    AnyService, Readiness, Worker,
    accounts::erase_ended_accounts,
    measure::measure_database,
    ops::{self, Health},
    supervisor::Supervisor,
};

/// Interval between two checks whether the databases answer.
const DATABASE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a database may take to answer such a check.
const DATABASE_CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// A process that runs services.
pub struct Process {
    /// The services.
    pub services: Vec<Arc<dyn AnyService>>,
    /// The event bus, with the consumers of the services.
    pub bus: Bus,
    /// Background tasks of the process itself.
    pub tasks: Vec<Worker>,
    /// The operator's HTTP listener, where it is served.
    pub ops: Option<TcpListener>,
    /// How long calls, streams and background tasks may take to end after a shutdown.
    pub drain: Duration,
    /// Cancel it to stop the process.
    pub shutdown: CancellationToken,
}

/// Runs the services' background tasks, and `serve` (the gRPC server) beside them, until the shutdown. `serve` is given the
/// readiness of the process. Returns what `serve` returned, when everything has ended or the drain time is over.
pub async fn run<F: Future>(process: Process, serve: impl FnOnce(watch::Receiver<bool>) -> F) -> F::Output {
    let Process { services, bus, tasks, ops, drain, shutdown } = process;
    let readiness = Readiness::default();
    let supervisor = Supervisor::new(shutdown.clone(), readiness.clone());
    let ready = readiness.follow(supervisor.tasks(), shutdown.clone());
    observe_readiness(&readiness);

    if let Some(listener) = ops {
        let (listener, stop) = (Arc::new(listener), shutdown.clone());
        let health = Health { readiness: readiness.clone(), services: services.clone() };
        supervisor.supervise("ops".into(), move || ops::serve(listener.clone(), health.clone(), stop.clone()));
    }
    let (events, stop) = (bus.clone(), shutdown.clone());
    supervisor.supervise("bus".into(), move || {
        let (events, stop) = (events.clone(), stop.clone());
        async move { events.run(stop).await }
    });
    for task in tasks {
        supervisor.supervise_worker(task.name.to_owned(), task);
    }
    for service in services {
        supervise_service(&supervisor, service, &bus, &readiness, &shutdown);
    }

    let stopped_at = tokio::spawn({
        let shutdown = shutdown.clone();
        async move {
            shutdown.cancelled().await;
            Instant::now()
        }
    });
    let ended = serve(ready).await;

    // Also when the server ended by itself: the tasks that feed it must not go on without it.
    shutdown.cancel();
    // One time for all: what the server took to end is not added. A task that works for the server's calls ends after them.
    let stopped_at = stopped_at.await.unwrap_or_else(|_| Instant::now());
    let running = supervisor.wait(stopped_at, drain).await;
    if !running.is_empty() {
        tracing::warn!(tasks = ?running, "background tasks did not end in time; their work goes on at the next start");
    }
    ended
}

/// The tasks that every service has, and its own workers.
fn supervise_service(
    supervisor: &Supervisor,
    service: Arc<dyn AnyService>,
    bus: &Bus,
    readiness: &Readiness,
    shutdown: &CancellationToken,
) {
    let (name, db) = (service.definition().name, service.db().clone());
    let task = |task: &str| format!("{name}.{task}");

    let (events, database, stop) = (bus.clone(), db.clone(), shutdown.clone());
    supervisor.supervise(task("outbox-relay"), move || {
        frontdesk_outbox::relay(name, database.clone(), events.clone(), stop.clone())
    });
    let (database, stop) = (db.clone(), shutdown.clone());
    supervisor.supervise(task("retention"), move || {
        let (database, stop) = (database.clone(), stop.clone());
        async move { frontdesk_db::delete_expired(&database, &retentions(), stop).await }
    });
    let (database, stop) = (db.clone(), shutdown.clone());
    supervisor.supervise(task("measurements"), move || measure_database(name, database.clone(), stop.clone()));
    let (erasing, stop) = (service.clone(), shutdown.clone());
    supervisor.supervise(task("ended-accounts"), move || erase_ended_accounts(erasing.clone(), stop.clone()));
    let (readiness, stop) = (readiness.clone(), shutdown.clone());
    supervisor.supervise(task("database-check"), move || {
        let (database, readiness, stop) = (db.clone(), readiness.clone(), stop.clone());
        async move {
            let _ = stop.run_until_cancelled(check_database(name, database, readiness)).await;
        }
    });
    for worker in service.workers() {
        supervisor.supervise_worker(task(worker.name), worker);
    }
}

/// Keeps the readiness in step with whether the database answers.
async fn check_database(service: &'static str, db: Db, readiness: Readiness) {
    let problem = format!("the database of {service} does not answer");
    loop {
        let answered = tokio::time::timeout(DATABASE_CHECK_TIMEOUT, db.now()).await;
        readiness.set(&problem, !matches!(answered, Ok(Ok(_))));
        tokio::time::sleep(DATABASE_CHECK_INTERVAL).await;
    }
}

/// The rows that every service's database deletes after a time.
fn retentions() -> Vec<Retention> {
    let mut all = frontdesk_outbox::RETENTIONS.to_vec();
    all.extend([frontdesk_idempotency::RETENTION, frontdesk_audit::RETENTION]);
    all
}

fn observe_readiness(readiness: &Readiness) {
    let readiness = readiness.clone();
    let _observed = frontdesk_telemetry::meter()
        .u64_observable_gauge("frontdesk.ready")
        .with_description("1 while this process serves calls, 0 while it does not")
        .with_callback(move |observer| observer.observe(u64::from(readiness.problems().is_empty()), &[]))
        .build();
}
