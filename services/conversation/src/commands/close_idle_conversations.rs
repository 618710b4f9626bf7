//! Sessions' timeouts ask to close (rules B4, B5, E2): each is judged again here, under the row's lock.

use frontdesk_auth::AccountId;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{
    App,
    domain::NotIdle,
    error::ConversationError,
    store::{closes, conversations},
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

pub(crate) async fn close_idle_conversations(
    app: &App,
    idle: Vec<Idle>,
) -> Result<Vec<IdleOutcome>, ConversationError> {
    let mut outcomes = Vec::with_capacity(idle.len());
    for idle in idle {
        outcomes.push(close_one(app, idle).await?);
    }
    Ok(outcomes)
}

async fn close_one(app: &App, idle: Idle) -> Result<IdleOutcome, ConversationError> {
    let mut tx = app.db.begin().await?;
    let Some(mut conversation) = conversations::find_for_update(&tx, idle.account, idle.conversation).await? else {
        return Ok(IdleOutcome::NotFound);
    };
    let facts = closes::facts(tx.conn(), &conversation).await?;
    // Read after the lock: a message that committed before counts, one that comes later finds the close.
    let now = tx.now().await?;
    match conversation.close_idle(idle.session, facts, now) {
        Ok(()) => {
            conversations::save(&mut tx, &app.hints, &mut conversation).await?;
            tx.commit().await?;
            Ok(IdleOutcome::Closed)
        }
        Err(NotIdle::Until { idle_at }) => Ok(IdleOutcome::VisitorActive { idle_at }),
        Err(NotIdle::NotInCharge) => Ok(IdleOutcome::NotInCharge),
    }
}
