//! SQLite. There is nothing to lock: the transaction is the only one that writes. One statement for each table, and one for
//! each conversation.

use frontdesk_db::Tx;
use frontdesk_idempotency::RequestBatch;
use sea_orm::{Condition, DbBackend, DbErr, EntityTrait, QueryTrait, entity::prelude::*, sea_query::ExprTrait};

use super::{BatchContext, ContextRequest, ConversationBatch, LockedRows, RowKey};
use crate::{
    domain::Conversation,
    store::{
        NewRows, conversations,
        entity::{agent, bot, conversation},
        entries,
    },
};

pub(super) struct SqliteBatch;

#[async_trait::async_trait]
impl ConversationBatch for SqliteBatch {
    async fn lock(&self, tx: &Tx, conversations: &[RowKey]) -> Result<LockedRows, DbErr> {
        use conversation::{Column, Entity};
        let (accounts, ids): (Vec<_>, Vec<_>) = conversations.iter().copied().unzip();
        let wanted = Entity::find().filter(Column::AccountId.is_in(accounts)).filter(Column::Id.is_in(ids));
        let mut rows = LockedRows::default();
        for row in tx.conn().query_all_raw(wanted.build(DbBackend::Sqlite)).await? {
            rows.add(&row)?;
        }
        Ok(rows)
    }

    async fn load_context(&self, tx: &Tx, wanted: ContextRequest<'_>) -> Result<BatchContext, DbErr> {
        let now = tx.now().await?;
        let mut context = BatchContext::new(now, RequestBatch::find(tx.conn(), wanted.keys.into_iter()).await?);
        if !wanted.agents.is_empty() {
            let these = any_of(agent::Column::AccountId, agent::Column::Id, wanted.agents);
            let agents = agent::Entity::find().filter(these).all(tx.conn()).await?;
            agents.into_iter().for_each(|agent| context.add_agent(agent.into()));
        }
        if !wanted.bots.is_empty() {
            let these = any_of(bot::Column::AccountId, bot::Column::Id, wanted.bots);
            let bots = bot::Entity::find().filter(these).all(tx.conn()).await?;
            bots.into_iter().for_each(|bot| context.add_bot(bot.into()));
        }
        Ok(context)
    }

    async fn save_rows(
        &self,
        tx: &mut Tx,
        changed: &[&Conversation],
        rows: NewRows,
        requests: RequestBatch,
    ) -> Result<u64, DbErr> {
        for conversation in changed {
            conversations::update(tx, conversation).await?;
        }
        entries::insert(tx, rows.entries).await?;
        rows.events.insert(tx).await?;
        requests.insert(tx).await
    }
}

fn any_of<C: ColumnTrait>(account: C, id: C, keys: Vec<RowKey>) -> Condition {
    keys.into_iter().fold(Condition::any(), |any, key| any.add(account.eq(key.0).and(id.eq(key.1))))
}
