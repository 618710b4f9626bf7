//! The worker of webhooks: claims due deliveries in turn, posts the events and records the outcomes.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use frontdesk_clock::Time;
use opentelemetry::{KeyValue, metrics::Counter};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    App,
    commands::{self, ClaimedWebhook},
    domain::{DueEndpoint, WebhookOutcome, WebhookSlots},
    error::NotificationError,
    store,
    webhook::{WebhookClient, WebhookRequest, WebhookSecret},
};

/// Maximum interval between two reads of what is due: finds what other replicas queued, and retries.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The same while quick endpoints have no free slot: attempts that turn out to be slow leave theirs.
const FULL_INTERVAL: Duration = Duration::from_millis(50);
/// How long a list of the endpoints with due deliveries is used, unless the worker is woken or an attempt fails.
const LIST_TIME: Duration = Duration::from_millis(100);
/// Pause after an error of the database.
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// How much longer a claim is than an attempt may take: the time to record its outcome. It is not renewed.
const RECORD_TIME: Duration = Duration::from_secs(10);
/// Pause before recording an outcome is tried again.
const RECORD_PAUSE: Duration = Duration::from_millis(200);

/// The outcomes of attempts in the metrics.
const CONFIRMED: &str = "confirmed";
const FAILED: &str = "failed";

/// The deliveries that this worker processes.
struct Running {
    /// Each returns how long the receiver took to confirm the event. None: it did not.
    tasks: JoinSet<Option<Duration>>,
    deliveries: HashMap<Id, Uuid>,
    slots: WebhookSlots,
    due: DueList,
}

/// The endpoints with due deliveries, without those of which all were claimed.
#[derive(Default)]
struct DueList {
    endpoints: Vec<DueEndpoint>,
    /// When they were read. None: they have changed since.
    read_at: Option<Time>,
}

impl DueList {
    fn is_current(&self, now: Time) -> bool {
        self.read_at.is_some_and(|read_at| read_at <= now && now.since(read_at) < LIST_TIME)
    }

    /// Removes the endpoints of which fewer deliveries were claimed than they had places.
    fn remove_used_up(&mut self, places: &BTreeMap<Uuid, usize>, claimed: &[ClaimedWebhook]) {
        let count = |endpoint: Uuid| claimed.iter().filter(|claimed| claimed.endpoint.id == endpoint).count();
        self.endpoints.retain(|endpoint| places.get(&endpoint.id).is_none_or(|places| count(endpoint.id) == *places));
    }
}

impl Running {
    /// Waits until one has ended. None: there is none.
    async fn next_ended(&mut self) -> Option<()> {
        let ended = self.tasks.join_next_with_id().await?;
        self.remove(ended);
        Some(())
    }

    /// Removes those that have ended.
    fn remove_ended(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.remove(ended);
        }
    }

    fn remove(&mut self, ended: Result<(Id, Option<Duration>), JoinError>) {
        let (id, confirmed_after) = ended.unwrap_or_else(|error: JoinError| (error.id(), None));
        if confirmed_after.is_none() {
            self.due.read_at = None;
        }
        if let Some(delivery) = self.deliveries.remove(&id) {
            self.slots.end(delivery, confirmed_after, Instant::now());
        }
    }
}

/// What the attempts need.
#[derive(Clone)]
struct Sender {
    client: WebhookClient,
    attempts: Counter<u64>,
}

/// Sends events until the shutdown, then waits for the attempts in progress.
pub(crate) async fn deliver_webhooks(app: App) {
    let settings = &app.settings.webhooks;
    let client = match WebhookClient::try_new(settings, app.receiver_networks.clone()) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "webhooks are not sent: there is no HTTP client");
            return app.shutdown.cancelled().await;
        }
    };
    let attempts = frontdesk_telemetry::meter()
        .u64_counter("frontdesk.webhook.attempts")
        .with_description("Attempts to send an event to an endpoint, by outcome")
        .build();
    for outcome in [CONFIRMED, FAILED] {
        attempts.add(0, &[KeyValue::new("outcome", outcome)]);
    }
    let sender = Sender { client, attempts };
    let mut running = Running {
        tasks: JoinSet::new(),
        deliveries: HashMap::new(),
        slots: WebhookSlots::new(settings.deliveries_at_once, settings.deliveries_per_endpoint),
        due: DueList::default(),
    };
    while !app.shutdown.is_cancelled() {
        running.remove_ended();
        let started = start_due(&app, &sender, &mut running).await;
        let full = running.slots.is_full();
        let wait = match started {
            Ok(started) if started > 0 && !full => continue,
            Ok(_) if full => FULL_INTERVAL,
            Ok(_) => POLL_INTERVAL,
            Err(error) => {
                tracing::error!(%error, "the worker of webhooks cannot read its database");
                ERROR_PAUSE
            }
        };
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            () = app.webhooks_due.notified(), if !full => running.due.read_at = None,
            Some(()) = running.next_ended() => {}
            // Due times are by the database's clock; advancing the development clock ends this sleep.
            () = app.clock.sleep(wait) => {}
        }
    }
    while running.next_ended().await.is_some() {}
}

/// Starts due deliveries in turn, up to the maximum. Returns their number.
async fn start_due(app: &App, sender: &Sender, running: &mut Running) -> Result<usize, NotificationError> {
    running.slots.note_slow(Instant::now());
    if running.slots.is_exhausted() {
        return Ok(0);
    }
    let now = app.clock.now();
    if !running.due.is_current(now) {
        // Read first: a write transaction for nothing would block other writers of SQLite.
        let endpoints = store::webhook_endpoints::list_due(app.db.read(), app.db.now().await?).await?;
        running.due = DueList { endpoints, read_at: Some(now) };
    }
    let places = running.slots.give_out(&running.due.endpoints);
    if places.is_empty() {
        return Ok(0);
    }
    let duration = app.settings.webhooks.timeout + RECORD_TIME;
    let claimed = commands::claim_webhooks(app, duration, &running.slots.deliveries(), &places).await?;
    running.due.remove_used_up(&places, &claimed);
    let started = claimed.len();
    for claimed in claimed {
        spawn(app, sender, claimed, running);
    }
    Ok(started)
}

fn spawn(app: &App, sender: &Sender, claimed: ClaimedWebhook, running: &mut Running) {
    let (delivery, endpoint) = (claimed.delivery.id, claimed.endpoint.id);
    let span = tracing::info_span!("webhook", %delivery);
    frontdesk_telemetry::continue_trace(&span, &claimed.delivery.event.traceparent);
    let (app, sender) = (app.clone(), sender.clone());
    let task = async move {
        let outcome = attempt(&app, &sender.client, &claimed).await;
        let confirmed_after = outcome.is_confirmed().then_some(outcome.duration);
        let name = if outcome.is_confirmed() { CONFIRMED } else { FAILED };
        sender.attempts.add(1, &[KeyValue::new("outcome", name)]);
        // Without the receiver's answer and the address, which only administrators of the account may see.
        tracing::debug!(endpoint = %claimed.endpoint.id, outcome = name, status = outcome.status, "an event was posted");
        record(&app, &claimed, outcome).await;
        confirmed_after
    };
    let id = running.tasks.spawn(task.instrument(span)).id();
    running.deliveries.insert(id, delivery);
    running.slots.begin(delivery, endpoint, Instant::now());
}

/// Posts the event, unless the process was paused for longer than the claim: another worker may be sending it.
async fn attempt(app: &App, client: &WebhookClient, claimed: &ClaimedWebhook) -> WebhookOutcome {
    let ClaimedWebhook { delivery, endpoint, claimed_until } = claimed;
    if Instant::now() >= *claimed_until {
        return WebhookOutcome::unanswered("nothing was sent: the process was paused".into(), Duration::ZERO);
    }
    let (now, id) = (app.clock.now(), delivery.event.id);
    let payload = &delivery.event.payload;
    let signatures = WebhookSecret::signatures(&app.installation_secret, endpoint, &id.to_string(), now, payload);
    let Some(signatures) = signatures else {
        let failure = "the installation's secret was replaced: give the endpoint a new secret with RotateWebhookSecret";
        return WebhookOutcome::unanswered(failure.into(), Duration::ZERO);
    };
    let request = WebhookRequest {
        url: endpoint.url.clone(),
        event: id,
        timestamp: now.to_proto().seconds,
        signatures,
        body: payload.clone(),
    };
    client.post(request).await
}

/// Records the outcome. While the database is not available it is tried until the claim ends, after which the event is sent again.
async fn record(app: &App, claimed: &ClaimedWebhook, outcome: WebhookOutcome) {
    while let Err(error) = commands::record_webhook(app, claimed, outcome.clone()).await {
        if Instant::now() >= claimed.claimed_until {
            tracing::warn!(%error, "the outcome of a webhook was not recorded; the event is sent again");
            return;
        }
        tokio::time::sleep(RECORD_PAUSE).await;
    }
}
