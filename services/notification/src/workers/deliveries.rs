//! The delivery worker: takes what is due, composes it, sends it, writes down what came of it.

use std::time::Duration;

use tokio::task::JoinSet;
use tracing::Instrument;

use crate::{
    App, commands,
    domain::AttemptOutcome,
    error::NotificationError,
    store::{self, deliveries::Claim},
    transport::Transport,
};

/// Other replicas' work, and due times that a lost wake-up left unseen, are looked for at least so often.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(2);
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
const PAUSE_AFTER_NOTHING: Duration = Duration::from_millis(100);
/// A delivery is in the hands of a worker that says so again and again; one that is silent for so long is gone, and what it
/// had is another's.
const LEASE: Duration = Duration::from_secs(15);
const RENEW_EVERY: Duration = Duration::from_secs(4);
const TRIES_TO_RECORD: u32 = 5;

/// Delivers until the shutdown, then lets what runs come to its end.
pub(crate) async fn deliver(app: App) {
    while let Err(error) = end_leases_of_the_dead(&app).await {
        tracing::error!(%error, "the delivery worker cannot read its database");
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
        }
    }
    let mut running = JoinSet::new();
    while !app.shutdown.is_cancelled() {
        let wait = match take(&app, &mut running).await {
            Ok(wait) => wait.unwrap_or(LOOK_AT_LEAST_EVERY).min(LOOK_AT_LEAST_EVERY),
            Err(error) => {
                tracing::error!(%error, "the delivery worker cannot read its database");
                PAUSE_AFTER_ERROR
            }
        };
        let full = running.len() >= app.settings.deliveries_at_once.max(1);
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            () = app.due.notified(), if !full => {}
            Some(_) = running.join_next() => {}
            // By the database's clock; the development clock wakes it when it is moved.
            () = app.clock.sleep(wait), if !full => {}
        }
    }
    while running.join_next().await.is_some() {}
}

async fn end_leases_of_the_dead(app: &App) -> Result<(), NotificationError> {
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    store::deliveries::end_leases_of_the_dead(&tx, now).await?;
    Ok(tx.commit().await?)
}

/// Starts what is due, as far as there is room; how long until something will be due that is not yet.
async fn take(app: &App, running: &mut JoinSet<()>) -> Result<Option<Duration>, NotificationError> {
    let free = app.settings.deliveries_at_once.max(1).saturating_sub(running.len());
    if free == 0 {
        return Ok(None);
    }
    // Reading first: a writing transaction for nothing would hold up SQLite's other writers.
    let now = app.db.now().await?;
    match store::deliveries::next_due(app.db.read()).await? {
        Some(due) if due <= now => {}
        later => return Ok(later.map(|later| later.since(now))),
    }
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    let claims = store::deliveries::claim_due(&tx, now, now.plus(LEASE), free as u64).await?;
    tx.commit().await?;
    let nothing_taken = claims.is_empty();
    for claim in claims {
        let app = app.clone();
        let span = tracing::info_span!("delivery", delivery = %claim.delivery);
        frontdesk_telemetry::continue_trace(&span, &claim.traceparent);
        running.spawn(
            async move {
                if let Err(error) = carry(&app, &claim).await {
                    tracing::error!(%error, "a delivery stopped; it goes on when its lease ends");
                }
            }
            .instrument(span),
        );
    }
    let next = store::deliveries::next_due(app.db.read()).await?.map(|next| next.since(now));
    // In another replica's hands: asking without a pause would spin.
    Ok(if nothing_taken { next.map(|next| next.max(PAUSE_AFTER_NOTHING)) } else { next })
}

/// Carries a delivery as far as it goes now, saying meanwhile that somebody has it.
async fn carry(app: &App, claim: &Claim) -> Result<(), NotificationError> {
    let carrying = carry_on(app, claim);
    tokio::pin!(carrying);
    loop {
        tokio::select! {
            result = &mut carrying => return result,
            () = tokio::time::sleep(RENEW_EVERY) => {
                if let Err(error) = renew(app, claim).await {
                    tracing::warn!(%error, "the lease of a delivery was not renewed; trying again");
                }
            }
        }
    }
}

async fn renew(app: &App, claim: &Claim) -> Result<(), NotificationError> {
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    store::deliveries::renew(&tx, claim, now.plus(LEASE)).await?;
    Ok(tx.commit().await?)
}

async fn carry_on(app: &App, claim: &Claim) -> Result<(), NotificationError> {
    if claim.interrupted {
        return commands::settle_interrupted(app, claim).await;
    }
    if !commands::compose_delivery(app, claim).await? {
        return Ok(());
    }
    let Some(mail) = commands::begin_attempt(app, claim, LEASE).await? else { return Ok(()) };
    let outcome = app.transport.send(mail).await;
    tell(app, &outcome);
    record(app, claim, outcome).await
}

/// The server has answered: that answer is worth several tries to keep it.
async fn record(app: &App, claim: &Claim, outcome: AttemptOutcome) -> Result<(), NotificationError> {
    let mut tries = 1;
    loop {
        match commands::record_outcome(app, claim, outcome.clone()).await {
            Err(error) if tries < TRIES_TO_RECORD => {
                tracing::warn!(%error, tries, "the outcome of a delivery was not kept; trying again");
                tokio::time::sleep(PAUSE_AFTER_ERROR * tries).await;
                tries += 1;
            }
            result => return result,
        }
    }
}

/// Counted in logs without the server's words: they may hold an address.
fn tell(app: &App, outcome: &AttemptOutcome) {
    let to = match app.transport {
        Transport::File(_) => "mailbox",
        Transport::Smtp(_) => "smtp",
    };
    match outcome {
        AttemptOutcome::Accepted(_) => tracing::info!(to, "mail accepted"),
        AttemptOutcome::MayPass(_) => tracing::warn!(to, "mail not accepted yet"),
        AttemptOutcome::Final(_) => tracing::warn!(to, "mail refused for good"),
        AttemptOutcome::Unknown(_) => tracing::warn!(to, "nobody knows whether the mail was accepted"),
    }
}
