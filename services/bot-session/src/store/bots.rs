//! Table `bots`.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::{
    columns,
    entity::bot::{Column, Entity, Model, Summary, Whole},
};
use crate::domain::{Bot, BotSummary};

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
    let query = Entity::find_by_id(id).filter(Column::AccountId.eq(account));
    query.into_partial_model::<Whole>().one(conn).await?.map(from_row).transpose()
}

/// Returns the bot, deleted or not, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Bot>, DbErr> {
    let query = Entity::find_by_id(id).filter(Column::AccountId.eq(account)).lock_exclusive();
    query.into_partial_model::<Whole>().one(tx.conn()).await?.map(from_row).transpose()
}

/// Returns the bots by name, without their flows, which are not read. Up to `size` + 1 of them: the additional one says
/// that another page follows.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    show_deleted: bool,
    after: Option<&BotCursor>,
    size: u64,
) -> Result<Vec<BotSummary>, DbErr> {
    let mut query = Entity::find().filter(Column::AccountId.eq(account));
    if !show_deleted {
        query = query.filter(Column::Deleted.eq(false));
    }
    if let Some((name, id)) = after {
        // The name alone bounds the range of the index; an OR at the top would read it from its beginning.
        query =
            query.filter(Column::Name.gte(name.as_str())).filter(Column::Name.gt(name.as_str()).or(Column::Id.gt(*id)));
    }
    let query = query.order_by_asc(Column::Name).order_by_asc(Column::Id).limit(size + 1);
    Ok(query.into_partial_model::<Summary>().all(conn).await?.into_iter().map(summary_from_row).collect())
}

fn to_row(bot: &Bot) -> Result<Model, DbErr> {
    let summary = &bot.summary;
    Ok(Model {
        id: summary.id,
        account_id: summary.account,
        name: summary.name.clone(),
        timeout_us: columns::micros(summary.timeout),
        flow: columns::program_json(&bot.program, bot.reminder.as_ref())?,
        deleted: summary.deleted_at.is_some(),
        version: summary.version,
        created_at: summary.created_at,
        updated_at: Some(summary.updated_at),
        deleted_at: summary.deleted_at,
    })
}

fn from_row(row: Whole) -> Result<Bot, DbErr> {
    let (program, reminder) = columns::program(&row.flow)?;
    Ok(Bot { program, reminder, summary: summary_from_row(row.summary) })
}

/// Reads a bot without its flow. Binaries before the migration 004 do not write the times of changes.
fn summary_from_row(row: Summary) -> BotSummary {
    let updated_at = row.updated_at.unwrap_or(row.created_at);
    BotSummary {
        id: row.id,
        account: row.account_id,
        name: row.name,
        timeout: columns::timeout(row.timeout_us),
        version: row.version,
        created_at: row.created_at,
        updated_at,
        deleted_at: row.deleted.then(|| row.deleted_at.unwrap_or(updated_at)),
    }
}
