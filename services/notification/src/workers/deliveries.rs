//! The delivery worker: claims due deliveries, composes and sends their mails, and records the outcomes.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio::task::{Id, JoinError, JoinSet};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    App,
    commands::{self, Attempt},
    domain::{AttemptOutcome, Claim},
    error::NotificationError,
    store,
    transport::Transport,
};

/// Maximum interval between reads of the due deliveries: finds what other replicas queued.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Pause after an error of the database.
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// Pause before recording an outcome is tried again: shorter than those of the workers that look for ended claims, so that an
/// outcome that is known is recorded before the attempt is taken for an interrupted one.
const RECORD_PAUSE: Duration = Duration::from_millis(200);
/// Minimum pause when another replica claimed every due delivery.
const MIN_CONTENTION_PAUSE: Duration = Duration::from_millis(100);
/// How long a claim holds a delivery. It is renewed every [`RENEW_INTERVAL`]; after its end another worker claims the
/// delivery.
const CLAIM_DURATION: Duration = Duration::from_secs(15);
/// Interval between renewals of a claim.
const RENEW_INTERVAL: Duration = Duration::from_secs(4);
/// Interval between two searches for claims that end too late: longer than that between renewals, so that a claim that two searches
/// find has no living holder.
const VOID_CLAIMS_INTERVAL: Duration = Duration::from_secs(6);

/// The deliveries that this worker processes.
#[derive(Default)]
struct Running {
    tasks: JoinSet<()>,
    deliveries: HashMap<Id, Uuid>,
}

impl Running {
    fn ids(&self) -> Vec<Uuid> {
        self.deliveries.values().copied().collect()
    }

    /// Waits until one has ended. None: there is none.
    async fn next_ended(&mut self) -> Option<()> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = ended.map_or_else(|error: JoinError| error.id(), |(id, ())| id);
        self.deliveries.remove(&id);
        Some(())
    }
}

/// Delivers until the shutdown, then waits for the deliveries in progress.
pub(crate) async fn deliver(app: App) {
    while let Err(error) = end_claims_of_previous_process(&app).await {
        tracing::error!(%error, "the delivery worker cannot read its database");
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = tokio::time::sleep(ERROR_PAUSE) => {}
        }
    }
    let (mut running, mut void_claims) = (Running::default(), VoidClaims::default());
    while !app.shutdown.is_cancelled() {
        if let Err(error) = void_claims.end(&app).await {
            tracing::warn!(%error, "claims that end too late cannot be ended; trying again");
        }
        let wait = match start_due(&app, &mut running).await {
            Ok(wait) => wait.unwrap_or(MAX_POLL_INTERVAL).min(MAX_POLL_INTERVAL),
            Err(error) => {
                tracing::error!(%error, "the delivery worker cannot read its database");
                ERROR_PAUSE
            }
        };
        let full = running.deliveries.len() >= app.settings.deliveries_at_once;
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            () = app.due.notified(), if !full => {}
            Some(()) = running.next_ended() => {}
            // Due times are by the database's clock; advancing the development clock ends this sleep.
            () = app.clock.sleep(wait), if !full => {}
        }
    }
    while running.next_ended().await.is_some() {}
}

/// Ends the claims of a process that ended. A SQLite database has one process, so at its start the holders of all claims
/// have ended.
async fn end_claims_of_previous_process(app: &App) -> Result<(), NotificationError> {
    if !app.db.is_sqlite() {
        return Ok(());
    }
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    store::deliveries::end_claims_after(&tx, now, now).await?;
    Ok(tx.commit().await?)
}

/// Claims that end later than a claim of now can: the database's clock was set back since. A living holder renews its claim by the
/// new time; one that has died would hold the delivery until the clock reaches the old time again.
#[derive(Default)]
struct VoidClaims {
    searched: Option<Instant>,
    /// Whether the last search found one.
    found: bool,
}

impl VoidClaims {
    /// Ends the claims that this search and the one before found, when it is time to search.
    async fn end(&mut self, app: &App) -> Result<(), NotificationError> {
        if self.searched.is_some_and(|searched| searched.elapsed() < VOID_CLAIMS_INTERVAL) {
            return Ok(());
        }
        self.searched = Some(Instant::now());
        let latest = app.db.now().await?.plus(2 * CLAIM_DURATION);
        let found_before =
            std::mem::replace(&mut self.found, store::deliveries::has_claims_after(app.db.read(), latest).await?);
        if self.found && found_before {
            let tx = app.db.begin().await?;
            let now = tx.now().await?;
            store::deliveries::end_claims_after(&tx, now.plus(2 * CLAIM_DURATION), now).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

/// Starts due deliveries, up to the maximum. Returns the time until the next delivery is due. None: unknown.
async fn start_due(app: &App, running: &mut Running) -> Result<Option<Duration>, NotificationError> {
    let free = app.settings.deliveries_at_once.saturating_sub(running.deliveries.len());
    if free == 0 {
        return Ok(None);
    }
    // Read first: a write transaction for nothing would block other writers of SQLite.
    let now = app.db.now().await?;
    match store::deliveries::next_due(app.db.read()).await? {
        Some(due) if due <= now => {}
        later => return Ok(later.map(|later| later.since(now))),
    }
    let claims = commands::claim_deliveries(app, CLAIM_DURATION, &running.ids(), free as u64).await?;
    let none_claimed = claims.is_empty();
    fail::fail_point!("deliveries-claimed", |_| std::process::abort());
    for claim in claims {
        spawn(app, claim, running);
    }
    let next = store::deliveries::next_due(app.db.read()).await?.map(|next| next.since(now));
    // Another replica holds what is due: polling without a pause would spin.
    Ok(if none_claimed { next.map(|next| next.max(MIN_CONTENTION_PAUSE)) } else { next })
}

fn spawn(app: &App, claim: Claim, running: &mut Running) {
    let (app, delivery) = (app.clone(), claim.delivery);
    let span = tracing::info_span!("delivery", delivery = %claim.delivery);
    frontdesk_telemetry::continue_trace(&span, &claim.traceparent);
    let task = async move {
        if let Err(error) = process_claimed(&app, &claim).await {
            tracing::error!(%error, "a delivery stopped; it continues when its claim ends");
        }
    };
    let id = running.tasks.spawn(task.instrument(span)).id();
    running.deliveries.insert(id, delivery);
}

/// Processes a claimed delivery and renews the claim meanwhile.
async fn process_claimed(app: &App, claim: &Claim) -> Result<(), NotificationError> {
    let processing = process(app, claim);
    tokio::pin!(processing);
    loop {
        tokio::select! {
            result = &mut processing => return result,
            () = tokio::time::sleep(RENEW_INTERVAL) => {
                if let Err(error) = commands::renew_claim(app, claim, CLAIM_DURATION).await {
                    tracing::warn!(%error, "the claim of a delivery was not renewed; trying again");
                }
            }
        }
    }
}

async fn process(app: &App, claim: &Claim) -> Result<(), NotificationError> {
    if claim.interrupted {
        return commands::settle_interrupted(app, claim).await;
    }
    if !commands::compose_delivery(app, claim).await? {
        return Ok(());
    }
    // After a stop, attempts in progress end and none begins: another replica claims the delivery.
    if app.shutdown.is_cancelled() {
        return Ok(());
    }
    let Some(attempt) = commands::begin_attempt(app, claim, CLAIM_DURATION).await? else { return Ok(()) };
    let outcome = send(&app.transport, attempt).await;
    report(app, &outcome);
    record(app, claim, &outcome).await
}

/// Sends the mail, unless the process was paused for longer than the claim: another worker may be sending it.
async fn send(transport: &Transport, attempt: Attempt) -> AttemptOutcome {
    if Instant::now() >= attempt.claimed_until {
        return AttemptOutcome::TransientFailure("nothing was sent: the process was paused".into());
    }
    transport.send(attempt.mail).await
}

/// Records the outcome, unless the claim has ended. Otherwise the server's answer would be lost and the mail sent again, so it is
/// tried until the database is available.
async fn record(app: &App, claim: &Claim, outcome: &AttemptOutcome) -> Result<(), NotificationError> {
    let mut failed = false;
    while let Err(error) = commands::record_outcome(app, claim, outcome.clone()).await {
        if !failed {
            tracing::warn!(%error, "the outcome of a delivery was not recorded; trying until it is");
        }
        failed = true;
        tokio::time::sleep(RECORD_PAUSE).await;
    }
    Ok(())
}

/// Logs and counts the outcome without the server's response, which may contain an address.
fn report(app: &App, outcome: &AttemptOutcome) {
    let to = app.transport.as_str();
    match outcome {
        AttemptOutcome::Accepted(_) => tracing::info!(to, "mail accepted"),
        AttemptOutcome::TransientFailure(_) => tracing::warn!(to, "mail not accepted yet"),
        AttemptOutcome::ConfigurationFault(_) => {
            tracing::error!(
                to,
                "the mail server refuses every mail until its settings or Frontdesk's are repaired; GetDelivery shows its response \
                 in last_response"
            );
        }
        AttemptOutcome::TooLarge { max_bytes, .. } => {
            tracing::warn!(to, max_bytes, "mail too large for the mail server; a smaller one is composed");
        }
        AttemptOutcome::PermanentFailure(_) => tracing::warn!(to, "mail refused permanently"),
        AttemptOutcome::RecipientRefused { status_code, .. } => {
            tracing::warn!(to, status_code, "mail refused permanently: the recipient's address is not mailed any more");
        }
        AttemptOutcome::Unknown(_) => tracing::warn!(to, "unknown whether the mail was accepted"),
    }
    app.attempts.count(outcome);
}

#[cfg(test)]
mod tests {
    use frontdesk_db::AccountId;

    use super::*;
    use crate::transport::Mail;

    #[tokio::test]
    async fn t8_a_process_that_was_paused_for_longer_than_its_claim_sends_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let transport = Transport::File(folder.path().into());
        let mail = Mail {
            account: AccountId(Uuid::from_u128(1)),
            delivery: Uuid::from_u128(2),
            from: "team@acme.example".into(),
            to: "vera@visitor.example".into(),
            bytes: b"a mail".into(),
        };
        let attempt = |claimed_until| Attempt { mail: mail.clone(), claimed_until };
        let late = send(&transport, attempt(Instant::now())).await;
        assert!(matches!(late, AttemptOutcome::TransientFailure(_)), "{late:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let in_time = send(&transport, attempt(Instant::now() + CLAIM_DURATION)).await;
        assert!(matches!(in_time, AttemptOutcome::Accepted(_)), "{in_time:?}");
    }
}
