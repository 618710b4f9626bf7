//! SQLite. There is nothing to lock: the transaction is the only one that writes. One statement for each table.

use frontdesk_db::{Tx, hex, json_rows};
use frontdesk_idempotency::RequestBatch;
use sea_orm::{Condition, DbErr, EntityTrait, entity::prelude::*, sea_query::ExprTrait};
use serde_json::json;

use super::{BatchContext, BatchRequest, BatchRows, ConversationBatch, Locking, RowKey, Saved};
use crate::{
    domain::Conversation,
    store::{
        NewRows,
        entity::{agent, bot, entry},
    },
};

pub(super) struct SqliteBatch;

#[async_trait::async_trait]
impl ConversationBatch for SqliteBatch {
    fn first_attempt(&self) -> Locking {
        Locking::Lock
    }

    async fn load(&self, tx: &Tx, wanted: &BatchRequest<'_>, _: Locking) -> Result<(BatchRows, BatchContext), DbErr> {
        let keys =
            wanted.conversations.iter().map(|(account, id)| json!([hex(account.0.as_bytes()), hex(id.as_bytes())]));
        let mut rows = BatchRows::default();
        for row in tx.conn().query_all_raw(json_rows(LOAD, keys)).await? {
            rows.add(&row)?;
        }
        let requests = RequestBatch::find(tx.conn(), wanted.keys.iter().copied()).await?;
        let mut context = BatchContext::new(tx.now().await?, requests);
        if !wanted.agents.is_empty() {
            let these = any_of(agent::Column::AccountId, agent::Column::Id, &wanted.agents);
            let agents = agent::Entity::find().filter(these).all(tx.conn()).await?;
            agents.into_iter().for_each(|agent| context.add_agent(agent.into()));
        }
        let bots: Vec<_> = rows.conversations.values().filter_map(bot_in_charge).collect();
        if !bots.is_empty() {
            let these = any_of(bot::Column::AccountId, bot::Column::Id, &bots);
            let bots = bot::Entity::find().filter(these).all(tx.conn()).await?;
            bots.into_iter().for_each(|bot| context.add_bot(bot.into()));
        }
        Ok((rows, context))
    }

    async fn save_rows(
        &self,
        tx: &mut Tx,
        changed: &[&Conversation],
        rows: NewRows,
        context: BatchContext,
    ) -> Result<Saved, DbErr> {
        tx.conn().execute_raw(json_rows(UPDATE, changed.iter().map(|one| columns(one)))).await?;
        tx.conn().execute_raw(json_rows(INSERT_ENTRIES, rows.entries.iter().map(entry_columns))).await?;
        rows.events.insert(tx).await?;
        context.requests.insert(tx).await?;
        Ok(Saved::default())
    }
}

/// CROSS JOIN keeps the order: each conversation is found by its id. With lists of ids and accounts SQLite may read all
/// conversations of the account.
const LOAD: &str = "SELECT conversations.* FROM json_each(?1) AS key CROSS JOIN conversations
    ON conversations.id = unhex(key.value->>1) WHERE conversations.account_id = unhex(key.value->>0)";

const UPDATE: &str = "UPDATE conversations SET contact_id = unhex(value->>2), status = value->>3, assignee_kind = value->>4,
        assignee_id = unhex(value->>5), epoch = value->>6, bot_in_charge = value->>7, had_agent = value->>8,
        last_sequence = value->>9, last_visitor_sequence = value->>10, close_number = value->>11, close_reason = value->>12,
        closed_at = value->>13, last_visitor_activity_at = value->>14, last_activity_at = value->>15, version = value->>16
    FROM json_each(?1) AS new WHERE conversations.id = unhex(value->>0) AND conversations.account_id = unhex(value->>1)";

const INSERT_ENTRIES: &str = "INSERT INTO entries (conversation_id, sequence, visitor_sequence, account_id, author_kind,
        author_id, content, created_at, request_id)
    SELECT unhex(value->>0), value->>1, value->>2, unhex(value->>3), value->>4, value->>5, value->>6, value->>7, value->>8
    FROM json_each(?1)";

fn columns(conversation: &Conversation) -> serde_json::Value {
    json!([
        hex(conversation.id.as_bytes()),
        hex(conversation.account.0.as_bytes()),
        conversation.contact_id.map(|id| hex(id.as_bytes())),
        conversation.status.as_str(),
        conversation.owner.map(|owner| owner.kind.as_str()),
        conversation.owner.map(|owner| hex(owner.id.as_bytes())),
        conversation.epoch,
        conversation.session_in_charge().is_some(),
        conversation.had_agent,
        conversation.last_sequence,
        conversation.last_visitor_sequence,
        conversation.close_number,
        conversation.close_reason.map(|reason| reason.as_str()),
        conversation.closed_at.map(|at| at.0),
        conversation.last_visitor_activity_at.0,
        conversation.last_activity_at.0,
        conversation.version,
    ])
}

fn entry_columns(entry: &entry::Model) -> serde_json::Value {
    json!([
        hex(entry.conversation_id.as_bytes()),
        entry.sequence,
        entry.visitor_sequence,
        hex(entry.account_id.0.as_bytes()),
        entry.author_kind.as_str(),
        entry.author_id,
        entry.content,
        entry.created_at.0,
        entry.request_id,
    ])
}

fn bot_in_charge(conversation: &Conversation) -> Option<RowKey> {
    Some((conversation.account, conversation.session_in_charge()?.bot))
}

fn any_of<C: ColumnTrait>(account: C, id: C, keys: &[RowKey]) -> Condition {
    keys.iter().fold(Condition::any(), |any, key| any.add(account.eq(key.0).and(id.eq(key.1))))
}
