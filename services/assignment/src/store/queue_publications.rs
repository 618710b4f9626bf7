//! What of the queue is published, and when: a row of `routing_queue` has the time of its next publication. What changes rows here has locked
//! the account first (`routing_accounts`).

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, sea_query::Expr,
};
use uuid::Uuid;

use super::{
    entity::queued_conversation::{Column, Entity, LEFT, Model, OVER, RESERVED, WAITING},
    routing_queue::{AT_ONCE, at},
};
use crate::domain::Waiting;

/// A conversation whose state in the queue is to be published.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    pub(crate) waiting: Waiting,
    /// Whether it has left routing, or its wait is over.
    pub(crate) ended: bool,
    /// Whether the row is removed after the publication.
    pub(crate) over: bool,
    /// What was published last, as a JSON object. None: nothing.
    pub(crate) published: Option<String>,
}

/// Has the state of all conversations that wait by a policy, or by any, published again: the teams for which they wait may have changed.
pub(crate) async fn publish_again(tx: &Tx, account: AccountId, policy: Option<Uuid>) -> Result<(), DbErr> {
    let mut rows = Entity::update_many()
        .col_expr(Column::PublishAt, Expr::value(AT_ONCE))
        .filter(Column::AccountId.eq(account))
        .filter(Column::State.is_in([WAITING, RESERVED]))
        // Those that began to wait just now are published for the first time.
        .filter(Column::Published.is_not_null());
    if let Some(policy) = policy {
        rows = rows.filter(Column::PolicyId.eq(policy));
    }
    rows.exec(tx.conn()).await?;
    Ok(())
}

/// Returns the account of the next publication, over all accounts, and its time. None: nothing is to be published.
pub(crate) async fn find_next<C: ConnectionTrait>(conn: &C) -> Result<Option<(AccountId, Time)>, DbErr> {
    let next = publications().order_by_asc(Column::PublishAt).one(conn).await?;
    Ok(next.and_then(|row| Some((AccountId(row.account_id), row.publish_at?))))
}

/// Returns up to `limit` publications of the account that are due, the earliest first. The account is locked.
pub(crate) async fn list_due(tx: &Tx, account: AccountId, now: Time, limit: u64) -> Result<Vec<Publication>, DbErr> {
    let due = publications().filter(Column::AccountId.eq(account)).filter(Column::PublishAt.lte(now));
    let rows = due.order_by_asc(Column::PublishAt).limit(limit).all(tx.conn()).await?;
    let publication = |row: Model| Publication {
        ended: [LEFT, OVER].contains(&row.state),
        over: row.state == OVER,
        published: row.published.clone(),
        waiting: Waiting::from(row),
    };
    Ok(rows.into_iter().map(publication).collect())
}

/// Stores what was published of a conversation, and when it is published next.
pub(crate) async fn save(
    tx: &Tx,
    account: AccountId,
    waiting: &Waiting,
    published: Option<String>,
    publish_at: Option<Time>,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::Published, Expr::value(published))
        .col_expr(Column::PublishAt, Expr::value(publish_at))
        .filter(at(account, waiting.conversation, waiting.epoch))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Removes a conversation whose end was published.
pub(crate) async fn remove(tx: &Tx, account: AccountId, waiting: &Waiting) -> Result<(), DbErr> {
    let row = Entity::delete_many().filter(at(account, waiting.conversation, waiting.epoch));
    row.filter(Column::State.eq(OVER)).exec(tx.conn()).await?;
    Ok(())
}

/// Puts the publications of the account that are due off until this time.
pub(crate) async fn put_off(tx: &Tx, account: AccountId, now: Time, until: Time) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::PublishAt, Expr::value(until))
        .filter(Column::AccountId.eq(account))
        .filter(Column::PublishAt.is_not_null())
        .filter(Column::PublishAt.lte(now))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// A conversation for which a place is reserved is about to leave the queue: nothing is published of it meanwhile.
fn publications() -> Select<Entity> {
    Entity::find().filter(Column::PublishAt.is_not_null()).filter(Column::State.ne(RESERVED))
}
