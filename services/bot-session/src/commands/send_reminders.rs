//! Reminds silent visitors before their timeout (rule B4).

use futures::StreamExt;
use uuid::Uuid;

use crate::{
    App,
    conversation::{self, CallError},
    domain::DueReminder,
    error::BotSessionError,
    store,
};

/// Maximum number of reminders that are sent at the same time.
const CONCURRENT: usize = 8;

/// Sends each reminder, and notes that it was sent. One that fails is due again with the session's next check, under the same request
/// id.
pub(crate) async fn send_reminders(app: &App, due: Vec<DueReminder>) {
    let sent = futures::stream::iter(due).for_each_concurrent(CONCURRENT, |due| async move {
        if let Err(error) = send(app, &due).await {
            tracing::warn!(%error, session_id = %due.session, "a reminder was not sent; trying again");
        }
    });
    sent.await;
}

async fn send(app: &App, due: &DueReminder) -> Result<(), BotSessionError> {
    let read = app.db.read_for(due.account).await?;
    let session = store::sessions::find(&read.conn(), due.account, due.session).await?;
    let Some(session) = session.filter(|session| session.is_open()) else { return Ok(()) };
    let reminder = match session.flow_version {
        Some(version) => store::flows::find_reminder(&read.conn(), due.account, session.bot, version).await?,
        None => None,
    };
    // The read ends before another service is asked.
    drop(read);
    if let Some(reminder) = reminder {
        let request_id = format!("bot-{}-r-{}", session.id, due.deadline.0);
        match conversation::remind(&app.conversation, &session, &reminder.text, due.silent_since, request_id).await {
            Ok(()) | Err(CallError::SessionOver | CallError::Rejected(_) | CallError::ResponseTooLarge(_)) => {}
            Err(CallError::Failed(_) | CallError::Unavailable(_)) => {
                return Err(BotSessionError::ConversationUnavailable);
            }
        }
    }
    note(app, due, session.id).await
}

/// Notes that the visitor was reminded of the deadline.
async fn note(app: &App, due: &DueReminder, session: Uuid) -> Result<(), BotSessionError> {
    let tx = app.db.begin_for(due.account).await?;
    if let Some(mut session) = store::sessions::find_for_update(&tx, due.account, session).await?
        && session.record_reminder(due.deadline)
    {
        store::sessions::save(&tx, &session).await?;
        tx.commit().await?;
    }
    Ok(())
}
