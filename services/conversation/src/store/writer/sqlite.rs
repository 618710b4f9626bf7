//! A group's statements on SQLite. There are no locks to take: the transaction is the only one that writes.

use frontdesk_auth::AccountId;
use frontdesk_db::Tx;
use frontdesk_idempotency::Requests;
use sea_orm::{Condition, DbErr, EntityTrait, IntoActiveModel, entity::prelude::*, sea_query::ExprTrait};
use uuid::Uuid;

use super::{
    Wanted,
    group::Conversations,
    seen::{self, Seen},
};
use crate::{
    domain::Conversation,
    store::{
        changes::Changes,
        closes,
        entity::{agents, bots, conversations},
        entries,
    },
};

pub(super) async fn find(tx: &Tx, wanted: impl Iterator<Item = &Wanted>) -> Result<Conversations, DbErr> {
    let (accounts, ids): (Vec<_>, Vec<_>) = wanted.map(|wanted| (wanted.account, wanted.conversation)).unzip();
    let rows = conversations::Entity::find()
        .filter(conversations::Column::AccountId.is_in(accounts))
        .filter(conversations::Column::Id.is_in(ids))
        .all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(|row| ((row.account_id, row.id), Conversation::from(row))).collect())
}

pub(super) async fn look<'a>(
    tx: &Tx,
    wanted: impl Iterator<Item = &'a Wanted> + Clone,
    conversations: &Conversations,
) -> Result<Seen, DbErr> {
    let mut seen = Seen::new(tx.now().await?);
    seen.requests = Requests::find(tx.conn(), wanted.clone().map(|wanted| &wanted.key)).await?;
    let agents = seen::agents(wanted);
    if !agents.is_empty() {
        let rows = agents::Entity::find().filter(these(agents::Column::AccountId, agents::Column::Id, agents));
        rows.all(tx.conn()).await?.into_iter().for_each(|agent| seen.add_agent(agent));
    }
    let bots = seen::bots(conversations.values());
    if !bots.is_empty() {
        let rows = bots::Entity::find().filter(these(bots::Column::AccountId, bots::Column::Id, bots));
        rows.all(tx.conn()).await?.into_iter().for_each(|bot| seen.add_bot(bot));
    }
    Ok(seen)
}

fn these<C: ColumnTrait>(account: C, id: C, these: Vec<(AccountId, Uuid)>) -> Condition {
    these.into_iter().fold(Condition::any(), |any, (of, this)| any.add(account.eq(of).and(id.eq(this))))
}

/// Gives how many requests were kept.
pub(super) async fn save<'a>(
    tx: &mut Tx,
    changed: impl Iterator<Item = &'a Conversation>,
    changes: Changes,
    requests: Requests,
) -> Result<u64, DbErr> {
    for conversation in changed {
        let row = conversation.row.clone().into_active_model().reset_all();
        let row = conversations::Entity::update(row).validate()?;
        row.filter(conversations::Column::AccountId.eq(conversation.row.account_id)).exec(tx.conn()).await?;
    }
    entries::insert(tx, changes.entries).await?;
    closes::insert(tx, changes.closes).await?;
    changes.events.insert(tx).await?;
    requests.insert(tx).await
}
