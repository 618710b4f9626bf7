//! Works on jobs on contacts: erases (rule X2), and leaves exports to `contact_exports/`. An erasure is done in steps, each of which is a
//! transaction of its own, and finds what is left to erase in the rows: so a job goes on at any replica after any kill, and a repeated
//! step changes nothing.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{contact_exports, running_exports::RunningExports};
use crate::{
    App,
    commands::unlink_visitors,
    domain::{ClosingFacts, ContactJob, ContactJobKind},
    store::{attachments, closing_snapshots, contact_jobs, conversations, erasure, tickets},
};

/// Maximum interval between two looks for jobs that are due: finds those that another replica began.
const MAX_INTERVAL: Duration = Duration::from_secs(2);
/// Pause after an error, and before the next look when other replicas have claimed what is due.
const PAUSE: Duration = Duration::from_secs(1);
/// Pause after which a job that failed goes on: its last step can be to write the file of a database anew.
const RETRY_PAUSE: Duration = Duration::from_secs(15);
/// How long after its last step a job is left to the replica that works on it.
pub(super) const CLAIM: Duration = Duration::from_secs(30);
/// Maximum number of jobs that are claimed at once.
const MAX_JOBS: u64 = 10;
/// Maximum number of steps of a job before the others have their turn.
const MAX_STEPS: usize = 50;
/// Maximum number of attachments that one step removes.
const MAX_FILES: u64 = 20;

pub(super) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Works until the shutdown. Exports run beside the erasures: one that takes long delays none.
pub(super) async fn run(app: App, shutdown: CancellationToken) {
    let mut exports = RunningExports::default();
    while !shutdown.is_cancelled() {
        let pause = match work(&app, &shutdown, &mut exports).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::warn!(%error, "jobs on contacts cannot be read; retrying");
                PAUSE
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = app.contact_jobs_due.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    exports.finish().await;
}

/// Works on the jobs that are due. Returns how long to wait for the next one.
async fn work(app: &App, shutdown: &CancellationToken, exports: &mut RunningExports) -> Result<Duration, AnyError> {
    // Read first: a transaction that writes nothing would make the writers of SQLite wait.
    let now = app.db.now().await?;
    match contact_jobs::next_due(app.db.read()).await? {
        Some(due) if due <= now => {}
        later => return Ok(later.map_or(MAX_INTERVAL, |due| due.since(now).min(MAX_INTERVAL))),
    }
    let tx = app.db.begin().await?;
    let now: Time = tx.now().await?;
    let to_erase = contact_jobs::claim_due(&tx, now, CLAIM, ContactJobKind::Erasure, MAX_JOBS).await?;
    let to_export = contact_jobs::claim_due(&tx, now, CLAIM, ContactJobKind::Export, exports.room() as u64).await?;
    tx.commit().await?;
    let mut pause = if to_erase.is_empty() && to_export.is_empty() { PAUSE } else { Duration::ZERO };
    for (account, id) in to_export {
        exports.start(id, export(app.clone(), shutdown.clone(), account, id));
    }
    for (account, id) in to_erase {
        if let Err(error) = turn(app, shutdown, account, id).await {
            pause = PAUSE;
            postpone(app, account, id, &error).await?;
        }
    }
    Ok(pause)
}

/// An attempt of an export.
async fn export(app: App, shutdown: CancellationToken, account: AccountId, id: Uuid) {
    if let Err(error) = contact_exports::turn(&app, &shutdown, account, id).await
        && let Err(error) = postpone(&app, account, id, &error).await
    {
        // It is due again when its claim ends.
        tracing::warn!(%error, contact_job_id = %id, "an export of a contact cannot be put off");
    }
}

/// A job that failed is due again after a pause, and delays no other.
async fn postpone(app: &App, account: AccountId, id: Uuid, failure: &AnyError) -> Result<(), AnyError> {
    tracing::warn!(error = %failure, contact_job_id = %id, "a job on a contact goes on later");
    let tx = app.db.begin_for(account).await?;
    if let Some(mut job) = contact_jobs::find_for_update(&tx, account, id).await? {
        job.due_at = Some(tx.now().await?.plus(RETRY_PAUSE));
        contact_jobs::save(&tx, &job).await?;
    }
    Ok(tx.commit().await?)
}

/// Some steps of one job.
async fn turn(app: &App, shutdown: &CancellationToken, account: AccountId, id: Uuid) -> Result<(), AnyError> {
    for _ in 0..MAX_STEPS {
        if shutdown.is_cancelled() || !step(app, account, id).await? {
            break;
        }
    }
    // What is left is due at once; a job that waits or is done stays as its last step left it.
    let tx = app.db.begin_for(account).await?;
    if let Some(mut job) = contact_jobs::find_for_update(&tx, account, id).await?
        && job.is_erasing()
    {
        job.due_at = Some(tx.now().await?);
        contact_jobs::save(&tx, &job).await?;
    }
    Ok(tx.commit().await?)
}

/// A transaction in which the job is locked: replicas that work on one job take turns.
struct Step {
    tx: Tx,
    job: ContactJob,
    now: Time,
}

impl Step {
    /// None: there is nothing left to erase.
    async fn begin(app: &App, account: AccountId, id: Uuid) -> Result<Option<Self>, AnyError> {
        let tx = app.db.begin_for(account).await?;
        let Some(mut job) = contact_jobs::find_for_update(&tx, account, id).await?.filter(ContactJob::is_erasing)
        else {
            return Ok(None);
        };
        let now = tx.now().await?;
        job.due_at = Some(now.plus(CLAIM));
        contact_jobs::save(&tx, &job).await?;
        Ok(Some(Self { tx, job, now }))
    }

    async fn commit(self) -> Result<(), AnyError> {
        Ok(self.tx.commit().await?)
    }
}

/// Erases a part. Returns false when the job waits for something, or is done.
async fn step(app: &App, account: AccountId, id: Uuid) -> Result<bool, AnyError> {
    let Some(mut step) = Step::begin(app, account, id).await? else { return end(app, account, id).await };
    let is_changed = unlink_visitors(app, &mut step.tx, &step.job).await?
        || erase_ticket(app, &mut step).await?
        || erase_conversation(app, &mut step).await?;
    if is_changed {
        step.commit().await?;
        return Ok(true);
    }
    let files = attachments::mark_of_job(&step.tx, &step.job, step.now, CLAIM, MAX_FILES).await?;
    let job = step.job.clone();
    step.commit().await?;
    for file in &files {
        remove_file(app, account, *file).await?;
    }
    if files.is_empty() {
        contact_exports::erase(app, &job).await?;
        finish_own_part(app, account, id).await?;
    }
    Ok(true)
}

/// Erases a ticket, before the conversation that it was made in: the entries about it have its words. False: there is none.
async fn erase_ticket(app: &App, step: &mut Step) -> Result<bool, AnyError> {
    let Step { tx, job, now } = step;
    let Some(found) = tickets::find_to_erase(tx, job).await? else { return Ok(false) };
    // The conversation is locked before its ticket, as everywhere.
    let conversation = conversations::find_for_update(tx, job.account, found.conversation_id).await?;
    let Some(ticket) = tickets::find_for_update(tx, job.account, found.id).await? else { return Ok(true) };
    erasure::erase_of_ticket(tx, &ticket).await?;
    tickets::save(tx, &mut ticket.erased(), *now).await?;
    if let Some(conversation) = conversation {
        let notifier = app.notifier.clone();
        tx.on_commit(move || notifier.notify(conversation.id));
    }
    Ok(true)
}

/// Erases some entries of a conversation, and with the last ones the rest of it. False: all conversations are erased.
async fn erase_conversation(app: &App, step: &mut Step) -> Result<bool, AnyError> {
    let Step { tx, job, now } = step;
    let Some((id, erased_until)) = contact_jobs::find_unerased(tx, job).await? else { return Ok(false) };
    let Some(mut conversation) = conversations::find_for_update(tx, job.account, id).await? else {
        contact_jobs::set_erased_until(tx, job, id, erased_until, true).await?;
        return Ok(true);
    };
    let erased = erasure::erase_entries(tx, &conversation, erased_until).await?;
    if erased.is_last {
        closing_snapshots::erase(tx, job.account, id).await?;
        let author = job.author();
        // The team may have reopened it since the erasure began.
        conversation.close_for_erasure(&author, ClosingFacts::default(), *now);
        conversation.erase(job.contact_id, &author, *now);
        conversations::save(tx, &app.notifier, &mut conversation).await?;
    }
    contact_jobs::set_erased_until(tx, job, id, erased.until, erased.is_last).await?;
    Ok(true)
}

async fn remove_file(app: &App, account: AccountId, id: Uuid) -> Result<(), AnyError> {
    app.objects.delete_all(account, id).await?;
    let tx = app.db.begin_for(account).await?;
    attachments::delete_marked(&tx, account, id).await?;
    Ok(tx.commit().await?)
}

/// Asks the other services to erase their part: what they may ask of this one is erased.
async fn finish_own_part(app: &App, account: AccountId, id: Uuid) -> Result<(), AnyError> {
    app.db.purge_deleted_rows().await?;
    let Some(Step { mut tx, mut job, now }) = Step::begin(app, account, id).await? else { return Ok(()) };
    if job.finish_own_part(now) {
        contact_jobs::save_finished(&mut tx, &job).await?;
    }
    Ok(tx.commit().await?)
}

/// Ends the job, if every service has confirmed. Returns false: there is nothing to do now.
async fn end(app: &App, account: AccountId, id: Uuid) -> Result<bool, AnyError> {
    let mut tx = app.db.begin_for(account).await?;
    if let Some(mut job) = contact_jobs::find_for_update(&tx, account, id).await? {
        let has_ended = job.end(tx.now().await?);
        match has_ended {
            true => contact_jobs::save_ended(&mut tx, &job).await?,
            false => contact_jobs::save(&tx, &job).await?,
        }
    }
    tx.commit().await?;
    Ok(false)
}
