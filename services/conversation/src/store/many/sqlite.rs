//! Many conversations on SQLite. There are no locks to take: the transaction is the only one that writes.

use frontdesk_db::{AccountId, Tx};
use frontdesk_idempotency::RequestBatch;
use sea_orm::{DbErr, EntityTrait, IntoActiveModel, entity::prelude::*};
use uuid::Uuid;

use crate::store::{
    changes::Changes,
    entity::conversations::{Column, Entity, Model},
    entries,
};

pub(super) async fn find(tx: &Tx, of: &[(AccountId, Uuid)]) -> Result<Vec<Model>, DbErr> {
    let (accounts, ids): (Vec<_>, Vec<_>) = of.iter().copied().unzip();
    Entity::find().filter(Column::AccountId.is_in(accounts)).filter(Column::Id.is_in(ids)).all(tx.conn()).await
}

/// Gives how many requests were kept.
pub(super) async fn save(
    tx: &mut Tx,
    changed: &[&Model],
    changes: Changes,
    requests: RequestBatch,
) -> Result<u64, DbErr> {
    for row in changed {
        let update = Entity::update((*row).clone().into_active_model().reset_all()).validate()?;
        update.filter(Column::AccountId.eq(row.account_id)).exec(tx.conn()).await?;
    }
    entries::insert(tx, changes.entries).await?;
    changes.events.insert(tx).await?;
    requests.insert(tx).await
}
