//! Sessions' timeouts ask to close (rules B4, B5, E2): each is judged again here, under the row's lock.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, is_connection_lost};
use frontdesk_idempotency::RequestBatch;
use uuid::Uuid;

use crate::{
    App,
    domain::NotIdle,
    error::ConversationError,
    store::{changes::Changes, closes, many},
};

/// A conversation whose session's timeout is believed to have run out.
pub(crate) struct Idle {
    pub account: AccountId,
    pub conversation: Uuid,
    pub session: Uuid,
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IdleOutcome {
    Closed,
    VisitorActive { idle_at: Time },
    NotInCharge,
    NotFound,
}

/// So many are closed in one transaction: their rows are locked for as long as all of them take.
const AT_ONCE: usize = 100;

pub(crate) async fn close_idle_conversations(
    app: &App,
    idle: Vec<Idle>,
) -> Result<Vec<IdleOutcome>, ConversationError> {
    let mut outcomes = Vec::with_capacity(idle.len());
    for some in idle.chunks(AT_ONCE) {
        match close(app, some).await {
            Ok(closed) => outcomes.extend(closed),
            // One that cannot be written, or a deadlock: the others need not suffer for it.
            Err(ConversationError::Db(error)) if some.len() > 1 && !is_connection_lost(&error) => {
                for one in some {
                    outcomes.extend(close(app, std::slice::from_ref(one)).await?);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(outcomes)
}

async fn close(app: &App, idle: &[Idle]) -> Result<Vec<IdleOutcome>, ConversationError> {
    let mut tx = app.db.begin_batch().await?;
    let of: Vec<_> = idle.iter().map(|idle| (idle.account, idle.conversation)).collect();
    let mut conversations = many::find_for_update(&tx, &of).await?;
    let facts = closes::facts_of_each(tx.conn(), &conversations.values().collect::<Vec<_>>()).await?;
    // Read after the lock: a message that committed before counts, one that comes later finds the close.
    let now = tx.now().await?;
    let mut changes = Changes::new(now);
    let mut outcomes = Vec::with_capacity(idle.len());
    for idle in idle {
        let of = (idle.account, idle.conversation);
        let Some(conversation) = conversations.get_mut(&of) else {
            outcomes.push(IdleOutcome::NotFound);
            continue;
        };
        let facts = facts.get(&of).cloned().unwrap_or_default();
        outcomes.push(match conversation.close_idle(idle.session, facts, now) {
            Ok(()) => {
                changes.take(conversation, &frontdesk_telemetry::traceparent())?;
                IdleOutcome::Closed
            }
            Err(NotIdle::Until { idle_at }) => IdleOutcome::VisitorActive { idle_at },
            Err(NotIdle::NotInCharge) => IdleOutcome::NotInCharge,
        });
    }
    many::save(&mut tx, &app.hints, &conversations, changes, RequestBatch::default()).await?;
    tx.commit().await?;
    Ok(outcomes)
}
