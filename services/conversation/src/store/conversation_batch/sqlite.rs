//! SQLite. There is nothing to lock: the transaction is the only one that writes. Everything is saved by one text of statements, because
//! each call hands the work to the thread of the connection and back.

use std::sync::LazyLock;

use frontdesk_db::{Db, Tx, hex, json_array, json_rows};
use frontdesk_idempotency::RequestBatch;
use frontdesk_outbox::Events;
use sea_orm::{Condition, DbBackend, DbErr, EntityTrait, Statement, entity::prelude::*, sea_query::ExprTrait};
use serde_json::json;

use super::{BatchContext, BatchRequest, BatchRows, ConversationBatch, Locking, RowKey, Saved, unsaved};
use crate::{
    domain::{Agent, Conversation, RosterState},
    store::{
        NewRows,
        entity::{agent, bot, entry},
    },
};

pub(super) struct SqliteBatch;

#[async_trait::async_trait]
impl ConversationBatch for SqliteBatch {
    async fn begin(&self, db: &Db, _: Locking) -> Result<Tx, DbErr> {
        db.begin_batch().await
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
        let now = tx.now().await?;
        let versions = rows.changed.iter().map(|((_, id), before)| json!([hex(id.as_bytes()), before]));
        let unchanged = [json_array(versions), json_array(context.agents().filter_map(author_columns))];
        let entries = json_array(rows.entries.iter().map(entry_columns));
        let conversations = json_array(changed.iter().map(|one| columns(one)));
        // In the order of the statements.
        let parts = [entries, rows.events.into_json(tx), context.requests.into_json(), conversations];
        let values = parts.into_iter().flat_map(|part| [part].into_iter().chain(unchanged.clone()));
        let save = Statement::from_sql_and_values(DbBackend::Sqlite, SAVE.as_str(), values);
        let saved = tx.conn().query_all_raw(save).await?;
        Ok(Saved { unsaved: unsaved(changed, &saved)?, now: Some(now.minus(tx.clock_offset())) })
    }
}

/// CROSS JOIN keeps the order: each conversation is found by its id. With lists of ids and accounts SQLite may read all
/// conversations of the account.
const LOAD: &str = "SELECT conversations.* FROM json_each(?1) AS key CROSS JOIN conversations
    ON conversations.id = unhex(key.value->>1) WHERE conversations.account_id = unhex(key.value->>0)";

/// Saves the conversations that are as they were loaded, if the agents are too: remembered rows may have changed since. The
/// conversations come last, since their versions say whether they are as they were.
static SAVE: LazyLock<String> = LazyLock::new(|| {
    let unchanged = "SELECT conversations.id FROM json_each(?) AS known
            CROSS JOIN conversations ON conversations.id = unhex(known.value->>0)
        WHERE conversations.version = known.value->>1 AND NOT EXISTS (
            SELECT 1 FROM json_each(?) AS author WHERE NOT EXISTS (
                SELECT 1 FROM agents WHERE agents.account_id = unhex(author.value->>0)
                    AND agents.id = unhex(author.value->>1) AND agents.active AND agents.version = author.value->>2))";
    format!(
        "INSERT INTO entries (conversation_id, sequence, visitor_sequence, account_id, author_kind, author_id, content, created_at,
            request_id)
        SELECT unhex(new.value->>0), new.value->>1, new.value->>2, unhex(new.value->>3), new.value->>4, new.value->>5,
            new.value->>6, new.value->>7, new.value->>8
        FROM json_each(?) AS new WHERE unhex(new.value->>0) IN ({unchanged});
        {events};
        {requests};
        UPDATE conversations SET contact_id = unhex(new.value->>2), status = new.value->>3, assignee_kind = new.value->>4,
            assignee_id = unhex(new.value->>5), epoch = new.value->>6, bot_in_charge = new.value->>7,
            had_agent = new.value->>8, last_sequence = new.value->>9, last_visitor_sequence = new.value->>10,
            close_number = new.value->>11, close_reason = new.value->>12, closed_at = new.value->>13,
            last_visitor_activity_at = new.value->>14, last_activity_at = new.value->>15, version = new.value->>16,
            waiting_since = new.value->>17
        FROM json_each(?) AS new WHERE conversations.id = unhex(new.value->>0)
            AND conversations.account_id = unhex(new.value->>1) AND conversations.id IN ({unchanged})
        RETURNING conversations.id",
        events = Events::insert_on_sqlite_sql(Some(unchanged)),
        requests = RequestBatch::insert_on_sqlite_sql(unchanged),
    )
});

/// An agent that wrote, with the version by which it was found to be active.
fn author_columns(agent: &Agent) -> Option<serde_json::Value> {
    let RosterState { active: true, version } = agent.roster? else { return None };
    Some(json!([hex(agent.account.0.as_bytes()), hex(agent.id.as_bytes()), version]))
}

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
        conversation.waiting_since.map(|at| at.0),
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
