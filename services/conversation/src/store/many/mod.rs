//! Many conversations in one transaction: locked together, changed one after the other, written together.

mod postgres;
mod sqlite;

use std::collections::HashMap;

use frontdesk_bus::ChangeNotifier;
use frontdesk_db::{AccountId, Tx};
use frontdesk_idempotency::RequestBatch;
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use uuid::Uuid;

use super::{
    changes::{Changes, hint_on_commit},
    closes,
};
use crate::domain::Conversation;

/// Conversations by account and id.
pub(crate) type Conversations = HashMap<(AccountId, Uuid), Conversation>;

/// Those of them that there are, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, of: &[(AccountId, Uuid)]) -> Result<Conversations, DbErr> {
    let rows = match tx.conn().get_database_backend() {
        DbBackend::Sqlite => sqlite::find(tx, of).await?,
        _ => postgres::lock(tx, of).await?,
    };
    Ok(rows.into_iter().map(|row| ((row.account_id, row.id), Conversation::from(row))).collect())
}

/// Writes what was taken from the conversations, and their rows. Nothing was taken: nothing is written. False: one of the request ids was used elsewhere since it was
/// looked up, and nothing is worth keeping.
pub(crate) async fn save(
    tx: &mut Tx,
    hints: &ChangeNotifier,
    conversations: &Conversations,
    mut changes: Changes,
    requests: RequestBatch,
) -> Result<bool, DbErr> {
    if changes.of.is_empty() {
        return Ok(true);
    }
    let mut of = std::mem::take(&mut changes.of);
    of.sort_unstable();
    of.dedup();
    let changed: Vec<_> = of.iter().filter_map(|of| Some(&conversations.get(of)?.row)).collect();
    hint_on_commit(tx, hints, of.iter().map(|(_, id)| *id).collect());
    closes::insert(tx, std::mem::take(&mut changes.closes)).await?;
    tx.wake_outbox_on_commit();
    let expected = requests.new_count() as u64;
    let kept = match tx.conn().get_database_backend() {
        DbBackend::Sqlite => sqlite::save(tx, &changed, changes, requests).await?,
        _ => postgres::save(tx, &changed, changes, requests).await?,
    };
    Ok(kept == expected)
}
