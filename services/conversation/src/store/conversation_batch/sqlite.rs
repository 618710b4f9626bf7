//! SQLite. There is nothing to lock: the transaction is the only one that writes. One statement for each table, and one for
//! each conversation.

use std::collections::HashSet;

use frontdesk_db::Tx;
use frontdesk_idempotency::RequestBatch;
use sea_orm::{Condition, DbBackend, DbErr, EntityTrait, QueryTrait, entity::prelude::*, sea_query::ExprTrait};

use super::{BatchContext, BatchRequest, BatchRows, ConversationBatch, Locking, RowKey};
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
    fn first_attempt(&self) -> Locking {
        Locking::Lock
    }

    async fn load(&self, tx: &Tx, wanted: &BatchRequest<'_>, _: Locking) -> Result<(BatchRows, BatchContext), DbErr> {
        use conversation::{Column, Entity};
        let (accounts, ids): (Vec<_>, Vec<_>) = wanted.conversations.iter().copied().unzip();
        let found = Entity::find().filter(Column::AccountId.is_in(accounts)).filter(Column::Id.is_in(ids));
        let mut rows = BatchRows::default();
        for row in tx.conn().query_all_raw(found.build(DbBackend::Sqlite)).await? {
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
        requests: RequestBatch,
    ) -> Result<HashSet<RowKey>, DbErr> {
        for conversation in changed {
            conversations::update(tx, conversation).await?;
        }
        entries::insert(tx, rows.entries).await?;
        rows.events.insert(tx).await?;
        requests.insert(tx).await?;
        Ok(HashSet::new())
    }
}

fn bot_in_charge(conversation: &Conversation) -> Option<RowKey> {
    Some((conversation.account, conversation.session_in_charge()?.bot))
}

fn any_of<C: ColumnTrait>(account: C, id: C, keys: &[RowKey]) -> Condition {
    keys.iter().fold(Condition::any(), |any, key| any.add(account.eq(key.0).and(id.eq(key.1))))
}
