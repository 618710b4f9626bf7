//! The local copy of bots.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    DbErr, EntityTrait, IntoActiveModel,
    entity::prelude::*,
    sea_query::{ExprTrait, OnConflict},
};
use uuid::Uuid;

use super::entity::bot::{Column, Entity, Model};
use crate::domain::Bot;

pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Bot>, DbErr> {
    let bot = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Id.eq(id)).one(conn).await?;
    Ok(bot.map(Bot::from))
}

/// Writes the bot, unless the copy is newer. A version has another state again after the bots were restored to an older point in
/// time: the later write holds.
pub(crate) async fn save(tx: &Tx, bot: Bot) -> Result<(), DbErr> {
    let row = Model::from(bot);
    let newer = OnConflict::columns([Column::AccountId, Column::Id])
        .update_columns([Column::Name, Column::TimeoutUs, Column::Deleted, Column::Version])
        .action_and_where(Expr::col((Entity, Column::Version)).lte(row.version))
        .to_owned();
    Entity::insert(row.into_active_model().reset_all()).on_conflict(newer).exec_without_returning(tx.conn()).await?;
    Ok(())
}
