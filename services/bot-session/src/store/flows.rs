//! Table `bot_flows`: the flows that sessions run, once for each version of their bot. Rows never change.

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, SelectExt,
    sea_query::OnConflict,
};
use uuid::Uuid;

use super::{
    columns,
    entity::{
        bot,
        bot_flow::{ActiveModel, Column, Entity},
    },
};
use crate::domain::{Program, Reminder};

/// Stores the bot's current flow unless it is stored. Returns the version under which it is. None: the account has no such bot.
pub(crate) async fn ensure_current(tx: &Tx, account: AccountId, bot: Uuid) -> Result<Option<i64>, DbErr> {
    let current = bot::Entity::find_by_id(bot).filter(bot::Column::AccountId.eq(account));
    let version = current.clone().select_only().column(bot::Column::Version).into_tuple::<i64>().one(tx.conn()).await?;
    let Some(version) = version else { return Ok(None) };
    if Entity::find_by_id((bot, version)).exists(tx.conn()).await? {
        return Ok(Some(version));
    }
    // The bot may have been edited since: the flow is stored under the version that it is read with.
    let columns = [bot::Column::Version, bot::Column::Flow];
    let read = current.select_only().columns(columns).into_tuple::<(i64, String)>().one(tx.conn()).await?;
    let Some((version, flow)) = read else { return Ok(None) };
    let row = ActiveModel { bot_id: Set(bot), version: Set(version), account_id: Set(account), flow: Set(flow) };
    let once = OnConflict::columns([Column::BotId, Column::Version]).do_nothing().to_owned();
    Entity::insert(row).on_conflict(once).exec_without_returning(tx.conn()).await?;
    Ok(Some(version))
}

/// Returns the reminder of a version of the bot. None: it has none, or the account has no such version.
pub(crate) async fn find_reminder<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    bot: Uuid,
    version: i64,
) -> Result<Option<Reminder>, DbErr> {
    let text = find_text(conn, account, bot, version).await?;
    // A session whose flow cannot be read has no reminder; its first turn hands the chat to the team.
    Ok(text.and_then(|text| columns::program(&text).ok()).and_then(|(_, reminder)| reminder))
}

/// Returns the stored versions of the bot that are programs of the customer's.
pub(crate) async fn list_engine_versions<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    bot: Uuid,
) -> Result<Vec<i64>, DbErr> {
    // The condition leaves out most flows; reading the rest decides.
    let query = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::BotId.eq(bot));
    let query = query.filter(Column::Flow.contains("\"engine\":"));
    let stored: Vec<(i64, String)> =
        query.select_only().columns([Column::Version, Column::Flow]).into_tuple().all(conn).await?;
    let is_engine = |text: &str| matches!(columns::program(text), Ok((Program::Engine(_), _)));
    Ok(stored.into_iter().filter(|(_, text)| is_engine(text)).map(|(version, _)| version).collect())
}

/// Returns the text of a stored flow. None: the account has none for this version of the bot.
pub(super) async fn find_text<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    bot: Uuid,
    version: i64,
) -> Result<Option<String>, DbErr> {
    let query = Entity::find_by_id((bot, version)).filter(Column::AccountId.eq(account));
    query.select_only().column(Column::Flow).into_tuple().one(conn).await
}
