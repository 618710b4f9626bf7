//! Records closes of conversations that free no place (rule A6).

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_db::AccountId;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    App,
    domain::{ConversationChange, PeriodEnd},
    store::{assignment_closes, conversation_owners},
};

/// Closed conversations, each with its closes.
type Closes<'a> = BTreeMap<(AccountId, Uuid), Vec<&'a ConversationChange>>;

/// Records those of the closes, of any accounts, whose conversations no agent owns and that are not in the queue, such as those of bots, and
/// returns these conversations. They free no place: they need neither a decision nor the account's lock, under which the other events of an
/// account are recorded.
pub(crate) async fn record_closes(
    app: &App,
    changes: Vec<&ConversationChange>,
) -> Result<BTreeSet<(AccountId, Uuid)>, DbErr> {
    let mut closes = Closes::new();
    for close in changes {
        closes.entry((close.account, close.conversation)).or_default().push(close);
    }
    if closes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let others = conversation_owners::owned_or_queued(app.db.read(), closes.keys().copied()).await?;
    closes.retain(|conversation, _| !others.contains(conversation));
    if closes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let tx = app.db.begin().await?;
    // This locks the rows of the owners, as every transaction does before it adds a conversation to the queue: what follows sees that.
    conversation_owners::record_status(&tx, newest_versions(&closes), false).await?;
    if !conversation_owners::owned_or_queued(tx.conn(), closes.keys().copied()).await?.is_empty() {
        // Rolled back: the account is locked before the rows.
        return Ok(BTreeSet::new());
    }
    assignment_closes::record(&tx, ends(&closes)).await?;
    tx.commit().await?;
    Ok(closes.into_keys().collect())
}

/// The version of each conversation at the last of its closes, in their order.
fn newest_versions(closes: &Closes<'_>) -> Vec<((AccountId, Uuid), i64)> {
    let newest = |closes: &[&ConversationChange]| closes.iter().map(|close| close.version).max().unwrap_or(0);
    closes.iter().map(|(conversation, closes)| (*conversation, newest(closes))).collect()
}

/// The periods that the closes end, in the order of their conversations.
fn ends(closes: &Closes<'_>) -> Vec<(AccountId, PeriodEnd)> {
    let end = |close: &&ConversationChange| Some((close.account, close.end?));
    closes.values().flatten().filter_map(end).collect()
}
