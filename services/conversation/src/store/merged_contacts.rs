//! Contacts that were merged into others: what their ids and external ids name (rule X2a). Chains of merges are stored flat: each row
//! names the contact that is left.

use std::collections::{BTreeSet, HashMap};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select, entity::prelude::*};
use uuid::Uuid;

use super::{
    entity::merged_contact::{Column, Entity, Model},
    keyset,
};
use crate::domain::MergedContact;

fn in_account(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account))
}

/// The merged contact with this id.
pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    source: Uuid,
) -> Result<Option<MergedContact>, DbErr> {
    Ok(in_account(account).filter(Column::SourceId.eq(source)).one(conn).await?.map(MergedContact::from))
}

/// The contacts into which those of these that were merged went.
pub(crate) async fn find_targets<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    sources: &BTreeSet<Uuid>,
) -> Result<BTreeSet<Uuid>, DbErr> {
    if sources.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = in_account(account).filter(Column::SourceId.is_in(sources.iter().copied()));
    Ok(rows.all(conn).await?.into_iter().map(|row| row.target_id).collect())
}

/// The ids of the contacts that were merged into these, by the contact that is left.
pub(crate) async fn find_sources<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    targets: &BTreeSet<Uuid>,
) -> Result<HashMap<Uuid, Vec<Uuid>>, DbErr> {
    let mut sources: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    if targets.is_empty() {
        return Ok(sources);
    }
    let rows = in_account(account)
        .filter(Column::TargetId.is_in(targets.iter().copied()))
        .select_only()
        .columns([Column::TargetId, Column::SourceId]);
    for (target, source) in rows.into_tuple::<(Uuid, Uuid)>().all(conn).await? {
        sources.entry(target).or_default().push(source);
    }
    Ok(sources)
}

/// The contact into which the one with the external id was merged.
pub(crate) async fn find_target_by_external_id<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    external_id: &str,
) -> Result<Option<Uuid>, DbErr> {
    let merged = in_account(account).filter(Column::ExternalId.eq(external_id));
    Ok(merged.one(conn).await?.map(|merged| merged.target_id))
}

/// The contacts that were merged into this one, the latest first, after the cursor (time and id of the last one before).
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    target: Uuid,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<MergedContact>, DbErr> {
    let mut query = in_account(account).filter(Column::TargetId.eq(target));
    if let Some((time, id)) = after {
        query = query.filter(keyset::before([Column::MergedAt, Column::SourceId], (time, id)));
    }
    let rows = query.order_by_desc(Column::MergedAt).order_by_desc(Column::SourceId).limit(limit).all(conn).await?;
    Ok(rows.into_iter().map(MergedContact::from).collect())
}

/// Inserts a merged contact. Those that were merged into it follow it.
pub(crate) async fn insert(tx: &Tx, merged: &MergedContact) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::AccountId.eq(merged.account))
        .filter(Column::TargetId.eq(merged.source_id))
        .col_expr(Column::TargetId, Expr::value(merged.target_id))
        .exec(tx.conn())
        .await?;
    let row = Model::from(merged).into_active_model().reset_all();
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Erases what the contacts had that were merged into this one. Their ids stay.
pub(super) async fn erase_values(tx: &Tx, account: AccountId, target: Uuid) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::TargetId.eq(target))
        .col_expr(Column::ExternalId, Expr::value(None::<String>))
        .col_expr(Column::OtherValues, Expr::value("{}"))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// The ids of the contacts that were merged into this one.
pub(crate) async fn list_source_ids<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    target: Uuid,
) -> Result<Vec<Uuid>, DbErr> {
    let rows = in_account(account).filter(Column::TargetId.eq(target)).select_only().column(Column::SourceId);
    rows.into_tuple().all(conn).await
}

/// No merged contact has the external id any more.
pub(crate) async fn release_external_id(tx: &Tx, account: AccountId, external_id: &str) -> Result<(), DbErr> {
    Entity::update_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ExternalId.eq(external_id))
        .col_expr(Column::ExternalId, Expr::value(None::<String>))
        .exec(tx.conn())
        .await?;
    Ok(())
}
