//! The timeouts of bot sessions close their conversations (rules B4, B5, E2): each is decided here, under the row's lock.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, is_connection_lost};
use frontdesk_idempotency::RequestBatch;
use uuid::Uuid;

use crate::{
    App,
    domain::IdleRejection,
    error::ConversationError,
    store::{
        NewRows, closing_facts,
        conversation_batch::{self, conversation_batch},
    },
};

/// A bot session whose timeout is believed to have expired.
pub(crate) struct IdleTimeout {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    pub(crate) session: Uuid,
}

/// The outcome of one timeout.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IdleOutcome {
    Closed,
    VisitorActive { idle_at: Time },
    NotInCharge,
    NotFound,
}

/// Maximum number of conversations that one transaction closes: their rows are locked until it ends.
const MAX_BATCH: usize = 100;

/// Returns the outcome of each, in their order.
pub(crate) async fn close_idle_conversations(
    app: &App,
    timeouts: Vec<IdleTimeout>,
) -> Result<Vec<IdleOutcome>, ConversationError> {
    let mut outcomes = Vec::with_capacity(timeouts.len());
    for batch in timeouts.chunks(MAX_BATCH) {
        match close_batch(app, batch).await {
            Ok(closed) => outcomes.extend(closed),
            // A deadlock, or one row that cannot be written: the others are closed one by one.
            Err(ConversationError::Db(error)) if batch.len() > 1 && !is_connection_lost(&error) => {
                for timeout in batch {
                    outcomes.extend(close_batch(app, std::slice::from_ref(timeout)).await?);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(outcomes)
}

async fn close_batch(app: &App, batch: &[IdleTimeout]) -> Result<Vec<IdleOutcome>, ConversationError> {
    let store = conversation_batch(&app.db);
    let mut tx = app.db.begin_batch().await?;
    let keys: Vec<_> = batch.iter().map(|timeout| (timeout.account, timeout.conversation)).collect();
    let mut conversations = store.lock(&tx, &keys).await?;
    let facts = closing_facts::find_many(tx.conn(), &conversations.values().collect::<Vec<_>>()).await?;
    // Read after the lock: a message that committed before counts, one that comes later finds the close.
    let now = tx.now().await?;
    let mut rows = NewRows::new(now);
    let mut outcomes = Vec::with_capacity(batch.len());
    for timeout in batch {
        let key = (timeout.account, timeout.conversation);
        let Some(conversation) = conversations.get_mut(&key) else {
            outcomes.push(IdleOutcome::NotFound);
            continue;
        };
        let facts = facts.get(&key).cloned().unwrap_or_default();
        outcomes.push(match conversation.close_idle(timeout.session, facts, now) {
            Ok(()) => {
                rows.take_from(conversation, &frontdesk_telemetry::traceparent())?;
                IdleOutcome::Closed
            }
            Err(IdleRejection::VisitorActive { idle_at }) => IdleOutcome::VisitorActive { idle_at },
            Err(IdleRejection::NotInCharge) => IdleOutcome::NotInCharge,
        });
    }
    conversation_batch::save(&*store, &mut tx, &app.notifier, &conversations, rows, RequestBatch::default()).await?;
    tx.commit().await?;
    Ok(outcomes)
}
