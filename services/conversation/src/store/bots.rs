//! What this service knows of another's bots.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    DbErr, EntityTrait, IntoActiveModel,
    entity::prelude::*,
    sea_query::{ExprTrait, OnConflict},
};
use uuid::Uuid;

use super::entity::bots::{Column, Entity, Model};

pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Id.eq(id)).one(conn).await
}

/// Keeps what the bot's service says, unless something newer is known.
pub(crate) async fn keep(tx: &Tx, bot: Model) -> Result<(), DbErr> {
    let newer = OnConflict::columns([Column::AccountId, Column::Id])
        .update_columns([Column::Name, Column::TimeoutUs, Column::Deleted, Column::Version])
        .action_and_where(Expr::col((Entity, Column::Version)).lt(bot.version))
        .to_owned();
    Entity::insert(bot.into_active_model().reset_all()).on_conflict(newer).exec_without_returning(tx.conn()).await?;
    Ok(())
}
