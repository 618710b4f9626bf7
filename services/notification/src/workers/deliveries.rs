//! The delivery worker: claims due deliveries, composes and sends their mails, and records the outcomes.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;

use super::{
    next_turns::NextTurns,
    recording::{self, Recording},
    running::Running,
};
use crate::{
    App,
    commands::{self, AcceptedMail, Attempt, Claimed, Work},
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

/// Maximum interval between reads while all that is due is for domains that have their maximum in progress.
const BLOCKED_PAUSE: Duration = Duration::from_millis(500);

/// Delivers until the shutdown, then waits for the deliveries in progress.
pub(crate) async fn deliver(app: App) {
    while let Err(error) = end_claims_of_previous_process(&app).await {
        tracing::error!(%error, "the delivery worker cannot read its database");
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = tokio::time::sleep(ERROR_PAUSE) => {}
        }
    }
    let mut running = Running::new(app.settings.deliveries_at_once, app.settings.deliveries_per_domain);
    let (mut turns, mut void_claims) = (NextTurns::default(), VoidClaims::default());
    let recording = Arc::new(Recording::default());
    while !app.shutdown.is_cancelled() {
        running.remove_ended();
        if let Err(error) = void_claims.end(&app).await {
            tracing::warn!(%error, "claims that end too late cannot be ended; trying again");
        }
        let wait = match start_due(&app, &mut running, &mut turns, &recording).await {
            Ok(wait) => wait.unwrap_or(MAX_POLL_INTERVAL).min(MAX_POLL_INTERVAL),
            Err(error) => {
                tracing::error!(%error, "the delivery worker cannot read its database");
                ERROR_PAUSE
            }
        };
        let (full, slots) = (running.free() == 0, running.slots.clone());
        if wait.is_zero() && !full {
            continue;
        }
        // What is recorded soon ends the wait by itself. One that cannot be recorded for long must not end the search for what is due.
        let wait = if full || running.is_recording() { MAX_POLL_INTERVAL } else { wait };
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            () = app.due.notified(), if !full => {}
            Some(()) = running.next_ended() => {}
            () = Running::slot_is_free(&slots), if slots.available_permits() == 0 => {}
            // Due times are by the database's clock; advancing the development clock ends this sleep.
            () = app.clock.sleep(wait) => {}
        }
    }
    while running.next_ended().await.is_some() {}
    app.transport.close_idle().await;
}

/// Ends the claims of a process that ended. A SQLite database has one process, so at its start the holders of all claims
/// have ended.
async fn end_claims_of_previous_process(app: &App) -> Result<(), NotificationError> {
    if !app.db.is_sqlite() {
        return Ok(());
    }
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    store::due_deliveries::end_claims_after(&tx, now, now).await?;
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
            std::mem::replace(&mut self.found, store::due_deliveries::has_claims_after(app.db.read(), latest).await?);
        if self.found && found_before {
            let tx = app.db.begin().await?;
            let now = tx.now().await?;
            store::due_deliveries::end_claims_after(&tx, now.plus(2 * CLAIM_DURATION), now).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

/// Starts due deliveries in turn, up to the maximum. Returns the time until it is worth while to try again. None: unknown.
async fn start_due(
    app: &App,
    running: &mut Running,
    turns: &mut NextTurns,
    recording: &Arc<Recording>,
) -> Result<Option<Duration>, NotificationError> {
    let free = running.free();
    if free == 0 {
        return Ok(None);
    }
    // Read first: a write transaction for nothing would block other writers of SQLite.
    let is_read_now = turns.read(app).await?;
    if turns.turns.is_empty() {
        let next = store::due_deliveries::next_due(app.db.read()).await?;
        return Ok(match next {
            Some(next) => Some(next.since(app.db.now().await?)),
            None => None,
        });
    }
    let places = turns.turns.take(free, |domain| running.room(domain));
    if places.is_empty() {
        turns.forget();
        return Ok(Some(BLOCKED_PAUSE));
    }
    let claimed = commands::claim_deliveries(app, CLAIM_DURATION, &running.ids(), &places).await?;
    for (queue, places) in &places {
        if claimed.iter().filter(|claimed| claimed.queue == *queue).count() < *places {
            turns.turns.remove(queue);
        }
    }
    // Another replica holds what is due: polling without a pause would spin.
    let is_contended = claimed.is_empty() && is_read_now;
    for claimed in claimed {
        spawn(app, claimed, running, recording);
    }
    Ok(Some(if is_contended { MIN_CONTENTION_PAUSE } else { Duration::ZERO }))
}

fn spawn(app: &App, claimed: Claimed, running: &mut Running, recording: &Arc<Recording>) {
    let (app, recording) = (app.clone(), recording.clone());
    let (delivery, domain) = (claimed.claim.delivery, claimed.domain.clone());
    let slot = running.slots.clone().try_acquire_owned().ok();
    let span = tracing::info_span!("delivery", %delivery);
    frontdesk_telemetry::continue_trace(&span, &claimed.claim.traceparent);
    let task = async move {
        if let Err(error) = process_claimed(&app, claimed, slot, &recording).await {
            tracing::error!(%error, "a delivery stopped; it continues when its claim ends");
        }
    };
    let id = running.tasks.spawn(task.instrument(span)).id();
    running.deliveries.insert(id, (delivery, domain));
}

/// Processes a claimed delivery and renews the claim meanwhile.
async fn process_claimed(
    app: &App,
    claimed: Claimed,
    slot: Option<OwnedSemaphorePermit>,
    recording: &Recording,
) -> Result<(), NotificationError> {
    let Claimed { claim, work, .. } = claimed;
    tokio::select! {
        result = process(app, &claim, work, slot, recording) => result,
        never = renew(app, &claim) => match never {},
    }
}

/// Renews the claim until it is dropped. It never waits for the processing, which may hold the only connection that writes (SQLite), nor the
/// processing for it.
async fn renew(app: &App, claim: &Claim) -> Infallible {
    loop {
        tokio::time::sleep(RENEW_INTERVAL).await;
        if let Err(error) = commands::renew_claim(app, claim, CLAIM_DURATION).await {
            tracing::warn!(%error, "the claim of a delivery was not renewed; trying again");
        }
    }
}

/// Gives up the slot when the mail was sent: another one can be sent while its outcome is recorded.
async fn process(
    app: &App,
    claim: &Claim,
    work: Work,
    slot: Option<OwnedSemaphorePermit>,
    recording: &Recording,
) -> Result<(), NotificationError> {
    match work {
        Work::Settle => commands::settle_interrupted(app, claim).await,
        Work::Compose => commands::compose_delivery(app, claim).await,
        Work::Send(attempt) => {
            let outcome = send(&app.transport, attempt).await;
            drop(slot);
            report(app, &outcome);
            record(app, claim, outcome, recording).await;
            Ok(())
        }
    }
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
async fn record(app: &App, claim: &Claim, outcome: AttemptOutcome, recording: &Recording) {
    if let AttemptOutcome::Accepted(response) = &outcome {
        let (claim, response) = (claim.clone(), response.clone());
        let mail = AcceptedMail { claim, response, traceparent: frontdesk_telemetry::traceparent() };
        if recording::record(app, recording, mail).await {
            return;
        }
        tokio::time::sleep(RECORD_PAUSE).await;
    }
    let mut failed = false;
    while let Err(error) = commands::record_outcome(app, claim, outcome.clone()).await {
        if !failed {
            tracing::warn!(%error, "the outcome of a delivery was not recorded; trying until it is");
        }
        failed = true;
        tokio::time::sleep(RECORD_PAUSE).await;
    }
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
    use uuid::Uuid;

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
