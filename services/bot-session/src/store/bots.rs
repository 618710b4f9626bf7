//! Table `bots`.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::{
    columns,
    entity::bot::{Column, Entity, Model},
};
use crate::domain::Bot;

/// Where a page of bots begins: after this name and id.
pub(crate) type BotCursor = (String, Uuid);

/// Inserts a bot.
pub(crate) async fn insert(tx: &Tx, bot: &Bot) -> Result<(), DbErr> {
    Entity::insert(to_row(bot)?.into_active_model()).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Updates a bot that was found with [`find_for_update`].
pub(crate) async fn save(tx: &Tx, bot: &Bot) -> Result<(), DbErr> {
    to_row(bot)?.into_active_model().reset_all().update(tx.conn()).await?;
    Ok(())
}

/// Returns the bot, deleted or not. None: the account has none with this id.
pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Bot>, DbErr> {
    Entity::find_by_id(id).filter(Column::AccountId.eq(account)).one(conn).await?.map(from_row).transpose()
}

/// Returns the bot, deleted or not, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Bot>, DbErr> {
    let row = Entity::find_by_id(id).filter(Column::AccountId.eq(account)).lock_exclusive().one(tx.conn()).await?;
    row.map(from_row).transpose()
}

/// Returns the bots that are not deleted, by name. Up to `size` + 1 of them: the additional one says that another page
/// follows.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    after: Option<&BotCursor>,
    size: u64,
) -> Result<Vec<Bot>, DbErr> {
    let mut query = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::Deleted.eq(false));
    if let Some((name, id)) = after {
        let same_name = Column::Name.eq(name.as_str()).and(Column::Id.gt(*id));
        query = query.filter(Condition::any().add(Column::Name.gt(name.as_str())).add(same_name));
    }
    let rows = query.order_by_asc(Column::Name).order_by_asc(Column::Id).limit(size + 1).all(conn).await?;
    rows.into_iter().map(from_row).collect()
}

fn to_row(bot: &Bot) -> Result<Model, DbErr> {
    Ok(Model {
        id: bot.id,
        account_id: bot.account,
        name: bot.name.clone(),
        timeout_us: columns::micros(bot.timeout),
        flow: columns::flow_json(&bot.flow)?,
        deleted: bot.deleted,
        version: bot.version,
        created_at: bot.created_at,
    })
}

fn from_row(row: Model) -> Result<Bot, DbErr> {
    Ok(Bot {
        id: row.id,
        account: row.account_id,
        name: row.name,
        timeout: columns::timeout(row.timeout_us),
        flow: columns::flow(&row.flow)?,
        deleted: row.deleted,
        version: row.version,
        created_at: row.created_at,
    })
}
