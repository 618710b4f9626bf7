//! The delivery worker: takes what is due, composes it, sends it, writes down what came of it.

use std::time::Duration;

use frontdesk_clock::Time;
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
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(60);
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
const PAUSE_AFTER_NOTHING: Duration = Duration::from_millis(100);
/// Steps of one exchange with a mail server, with some to spare; composing has as long.
const STEPS: u32 = 12;
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
        let next_look = match take(&app, &mut running).await {
            Ok(next_look) => next_look,
            Err(error) => {
                tracing::error!(%error, "the delivery worker cannot read its database");
                Some(app.clock.now().plus(PAUSE_AFTER_ERROR))
            }
        };
        let full = running.len() >= app.settings.deliveries_at_once.max(1);
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            () = app.due.notified(), if !full => {}
            Some(_) = running.join_next() => {}
            () = until(&app, next_look), if !full => {}
            () = tokio::time::sleep(LOOK_AT_LEAST_EVERY), if !full => {}
        }
    }
    while running.join_next().await.is_some() {}
}

async fn end_leases_of_the_dead(app: &App) -> Result<(), NotificationError> {
    let tx = app.db.begin().await?;
    store::deliveries::end_leases_of_the_dead(&tx, app.clock.now()).await?;
    Ok(tx.commit().await?)
}

async fn until(app: &App, moment: Option<Time>) {
    match moment {
        Some(moment) => app.clock.sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Starts what is due, as far as there is room; when something will be due that is not yet.
async fn take(app: &App, running: &mut JoinSet<()>) -> Result<Option<Time>, NotificationError> {
    let free = app.settings.deliveries_at_once.max(1).saturating_sub(running.len());
    if free == 0 {
        return Ok(None);
    }
    // Reading first: a writing transaction for nothing would hold up SQLite's other writers.
    match store::deliveries::next_due(app.db.read()).await? {
        Some(due) if due <= app.clock.now() => {}
        later => return Ok(later),
    }
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    let claims = store::deliveries::claim_due(&tx, now, now.plus(lease(app)), free as u64).await?;
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
    let next = store::deliveries::next_due(app.db.read()).await?;
    // Due by our clock but not by the database's, or in another replica's hands: asking without a pause would spin.
    let soonest = app.clock.now().plus(PAUSE_AFTER_NOTHING);
    Ok(if nothing_taken { next.map(|next| next.max(soonest)) } else { next })
}

fn lease(app: &App) -> Duration {
    app.settings.smtp.timeout * STEPS + Duration::from_secs(30)
}

async fn carry(app: &App, claim: &Claim) -> Result<(), NotificationError> {
    if claim.interrupted {
        return commands::settle_interrupted(app, claim).await;
    }
    if !commands::compose_delivery(app, claim).await? {
        return Ok(());
    }
    let Some(mail) = commands::begin_attempt(app, claim, lease(app)).await? else { return Ok(()) };
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
