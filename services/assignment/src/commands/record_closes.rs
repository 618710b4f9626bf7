//! Records closes of conversations that free no place (rule A6).

use std::collections::BTreeSet;

use frontdesk_db::AccountId;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    App,
    domain::{ConversationChange, period_ends},
    store::{assignment_closes, conversation_owners},
};

/// Records those of the closes, of any accounts, whose conversations no agent owns and that are not in the queue, such as those of bots, and
/// returns these conversations. They free no place: they need neither a decision nor the account's lock, under which the other events of an
/// account are recorded.
pub(crate) async fn record_closes(
    app: &App,
    mut closes: Vec<&ConversationChange>,
) -> Result<BTreeSet<(AccountId, Uuid)>, DbErr> {
    let mut closed: BTreeSet<_> = closes.iter().map(|close| (close.account, close.conversation)).collect();
    if closed.is_empty() {
        return Ok(closed);
    }
    let others = conversation_owners::owned_or_queued(app.db.read(), closed.iter().copied()).await?;
    closed.retain(|conversation| !others.contains(conversation));
    if closed.is_empty() {
        return Ok(closed);
    }
    closes.retain(|close| closed.contains(&(close.account, close.conversation)));
    let tx = app.db.begin().await?;
    // This locks the rows of the owners, as every transaction does before it adds a conversation to the queue: what follows sees that.
    conversation_owners::record_changes(&tx, &closes).await?;
    if !conversation_owners::owned_or_queued(tx.conn(), closed.iter().copied()).await?.is_empty() {
        // Rolled back: the account is locked before the rows.
        return Ok(BTreeSet::new());
    }
    assignment_closes::record(&tx, period_ends(&closes)).await?;
    tx.commit().await?;
    Ok(closed)
}
