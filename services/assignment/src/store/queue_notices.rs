//! Which visitors who wait outside of opening hours have the message of the closing. What changes rows here has locked the account first
//! (`routing_accounts`).

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

use super::{
    entity::queued_conversation::{Column, Entity},
    routing_queue::{at, in_queue, of_queue, oldest, these},
};
use crate::domain::{Queue, Waiting};

/// Takes up to `limit` conversations of a queue whose visitors have not got the message of the closing that ends at `until`: it is posted
/// again at `again_at` unless it is confirmed.
pub(crate) async fn take(
    tx: &Tx,
    account: AccountId,
    queue: Queue,
    until: Time,
    (now, again_at): (Time, Time),
    limit: u64,
) -> Result<Vec<Waiting>, DbErr> {
    let is_due = Condition::any().add(Column::NoticeAt.is_null()).add(Column::NoticeAt.lte(now));
    let mut taken = Vec::new();
    // Those who got none, and those who got that of another closing: each a range of the index `routing_queue_notices`, where `<>` is none. A
    // long queue of visitors who have the message is not read.
    for not_noticed in [Column::NoticedUntil.is_null(), Column::NoticedUntil.lt(until), Column::NoticedUntil.gt(until)]
    {
        let left = limit - taken.len() as u64;
        if left > 0 {
            let rows = in_queue(account, queue).filter(not_noticed).filter(is_due.clone());
            taken.extend(oldest(rows.order_by_asc(Column::NoticedUntil), tx.conn(), left).await?);
        }
    }
    if !taken.is_empty() {
        Entity::update_many()
            .col_expr(Column::NoticeAt, Expr::value(again_at))
            .filter(these(account, taken.iter().map(|waiting| waiting.conversation)))
            .exec(tx.conn())
            .await?;
    }
    Ok(taken)
}

/// Returns when the next message of the queue is posted again that is not confirmed. None: all are.
pub(crate) async fn find_next_at<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    queue: Queue,
) -> Result<Option<Time>, DbErr> {
    let rows = of_queue(account, queue).filter(Column::NoticeAt.is_not_null()).select_only();
    let next: Option<Option<i64>> = rows.column_as(Column::NoticeAt.min(), "next").into_tuple().one(conn).await?;
    Ok(next.flatten().map(Time))
}

/// Records that the visitor got the message of the closing that ends at `until`.
pub(crate) async fn confirm(
    tx: &Tx,
    account: AccountId,
    conversation: Uuid,
    epoch: i64,
    until: Time,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::NoticeAt, Expr::value(None::<Time>))
        .col_expr(Column::NoticedUntil, Expr::value(until))
        .filter(at(account, conversation, epoch))
        .exec(tx.conn())
        .await?;
    Ok(())
}
