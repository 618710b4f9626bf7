//! The timeouts of bot sessions close their conversations (rules B4, B5, E2): each is decided here, under the row's lock.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, is_connection_lost};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    App,
    domain::{ClosingFacts, Conversation, IdleRejection},
    error::ConversationError,
    store::{
        NewRows, closing_facts,
        conversation_batch::{self, BatchRequest, BatchRows, Locking, conversation_batch},
    },
};

/// A bot session whose timeout is believed to have expired.
pub(crate) struct IdleTimeout {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    pub(crate) session: Uuid,
    /// An earlier time as of which it is decided. None: now.
    pub(crate) as_of: Option<Time>,
}

/// The outcome of one timeout.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IdleOutcome {
    Closed,
    VisitorActive {
        idle_at: Time,
    },
    NotInCharge,
    NotFound,
    /// It could not be decided now.
    Failed,
}

/// Maximum number of conversations that one transaction closes: their rows are locked until it ends.
const MAX_BATCH: usize = 250;
/// Maximum number of attempts to lock a conversation that another transaction has locked.
const MAX_LOCK_ATTEMPTS: usize = 20;
/// Pause between two of these attempts.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Returns the outcome of each, in their order. A conversation that cannot be closed affects no other one.
pub(crate) async fn close_idle_conversations(
    app: &App,
    timeouts: &[IdleTimeout],
) -> Result<Vec<IdleOutcome>, ConversationError> {
    let mut outcomes = vec![None; timeouts.len()];
    for _ in 0..MAX_LOCK_ATTEMPTS {
        let undecided: Vec<_> = (0..timeouts.len()).filter(|place| outcomes[*place].is_none()).collect();
        for places in undecided.chunks(MAX_BATCH) {
            let batch: Vec<_> = places.iter().map(|place| &timeouts[*place]).collect();
            for (place, outcome) in places.iter().zip(close_each(app, &batch).await?) {
                outcomes[*place] = outcome;
            }
        }
        if outcomes.iter().all(Option::is_some) {
            break;
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(IdleOutcome::Failed)).collect())
}

/// Closes the batch as a whole, or otherwise its members one by one. None: another transaction has locked the conversation.
async fn close_each(app: &App, batch: &[&IdleTimeout]) -> Result<Vec<Option<IdleOutcome>>, ConversationError> {
    match close_batch(app, batch).await {
        Ok(outcomes) => return Ok(outcomes),
        // Of the database, not of a row: the caller repeats the call.
        Err(error) if is_connection_lost(&error) => return Err(error.into()),
        Err(error) => tracing::debug!(%error, members = batch.len(), "idle conversations are closed one by one"),
    }
    let mut outcomes = Vec::with_capacity(batch.len());
    for timeout in batch {
        outcomes.push(match close_batch(app, &[*timeout]).await {
            Ok(mut outcomes) => outcomes.pop().flatten(),
            Err(error) if is_connection_lost(&error) => return Err(error.into()),
            Err(error) => {
                tracing::error!(%error, conversation_id = %timeout.conversation, "an idle conversation cannot be closed");
                Some(IdleOutcome::Failed)
            }
        });
    }
    Ok(outcomes)
}

async fn close_batch(app: &App, batch: &[&IdleTimeout]) -> Result<Vec<Option<IdleOutcome>>, DbErr> {
    let store = conversation_batch(&app.db);
    let mut tx = app.db.begin_batch().await?;
    let keys: Vec<_> = batch.iter().map(|timeout| (timeout.account, timeout.conversation)).collect();
    let wanted = BatchRequest { conversations: keys, ..BatchRequest::default() };
    // The time is read after the lock: a message that committed before counts, one that comes later finds the close.
    let (BatchRows { mut conversations, busy, unreadable }, context) = store.load(&tx, &wanted, Locking::Lock).await?;
    let now = context.now;
    let facts = closing_facts::find_many(tx.conn(), &conversations.values().collect::<Vec<_>>()).await?;
    let mut rows = NewRows::new(now);
    let mut outcomes = Vec::with_capacity(batch.len());
    for timeout in batch {
        let key = (timeout.account, timeout.conversation);
        outcomes.push(match conversations.get_mut(&key) {
            Some(conversation) => {
                let facts = facts.get(&key).cloned().unwrap_or_default();
                Some(close(conversation, timeout, facts, &mut rows, now)?)
            }
            None if busy.contains(&key) => None,
            None => Some(match unreadable.get(&key) {
                Some(error) => {
                    tracing::error!(error, conversation_id = %timeout.conversation, "an idle conversation cannot be read");
                    IdleOutcome::Failed
                }
                None => IdleOutcome::NotFound,
            }),
        });
    }
    conversation_batch::save(&*store, &mut tx, &app.notifier, &conversations, rows, context).await?;
    tx.commit().await?;
    Ok(outcomes)
}

fn close(
    conversation: &mut Conversation,
    timeout: &IdleTimeout,
    facts: ClosingFacts,
    rows: &mut NewRows,
    now: Time,
) -> Result<IdleOutcome, DbErr> {
    Ok(match conversation.close_idle(timeout.session, facts, timeout.as_of, now) {
        Ok(()) => {
            rows.take_from(conversation, &frontdesk_telemetry::traceparent())?;
            IdleOutcome::Closed
        }
        Err(IdleRejection::VisitorActive { idle_at }) => IdleOutcome::VisitorActive { idle_at },
        Err(IdleRejection::NotInCharge) => IdleOutcome::NotInCharge,
    })
}
