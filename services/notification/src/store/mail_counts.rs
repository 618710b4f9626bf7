//! Counts of an account's mails, which `domain/mail_limits.rs` compares with the limits (rules T2, S4).

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryOrder, QuerySelect, Select, Set,
    entity::prelude::*,
    sea_query::{ExprTrait, Func, OnConflict},
};

use super::entity::{
    delivery::{Column, Entity},
    mail_account,
};
use crate::domain::{AutomaticCounts, DAY, DeliveryKind, HOUR, LimitScope, MailLimit};

/// Locks the account's row: of concurrent requests, each counts the mails of those before it.
pub(crate) async fn lock(tx: &Tx, account: AccountId) -> Result<(), DbErr> {
    mail_account::Entity::insert(mail_account::ActiveModel { account_id: Set(account.0) })
        .on_conflict(OnConflict::column(mail_account::Column::AccountId).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    mail_account::Entity::find_by_id(account.0).lock_exclusive().one(tx.conn()).await?;
    Ok(())
}

/// Counts the automatic transcripts that count towards the limits of another one, to `recipient`.
pub(crate) async fn count_automatic<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    conversation: Uuid,
    recipient: &str,
    now: Time,
) -> Result<AutomaticCounts, DbErr> {
    let within = |window| created_after(account, DeliveryKind::Transcript, now.minus(window));
    let unverified = || within(DAY).filter(Column::Unverified.eq(true));
    Ok(AutomaticCounts {
        of_conversation: within(HOUR).filter(Column::ConversationId.eq(conversation)).count(db).await?,
        to_recipient: to(within(DAY), recipient).count(db).await?,
        of_account: within(HOUR).count(db).await?,
        unverified_to_recipient: to(unverified(), recipient).count(db).await?,
        unverified_of_account: unverified().count(db).await?,
    })
}

/// Returns when the oldest of the `limit.max` newest mails within the limit's scope and after `since` was created. None: there
/// are fewer.
pub(crate) async fn oldest_within_limit(
    tx: &Tx,
    account: AccountId,
    limit: &MailLimit,
    since: Time,
) -> Result<Option<Time>, DbErr> {
    // The newest mail would be taken for one within a limit of 0.
    let Some(before) = limit.max.checked_sub(1) else { return Ok(None) };
    let mails = created_after(account, limit.kind, since);
    let mails = match &limit.scope {
        LimitScope::Account => mails,
        LimitScope::RequestedBy(actor) => mails.filter(Column::RequestedBy.eq(actor)),
        LimitScope::Recipient(address) => to(mails, address),
    };
    mails
        .select_only()
        .column(Column::CreatedAt)
        .order_by_desc(Column::CreatedAt)
        .offset(before)
        .limit(1)
        .into_tuple()
        .one(tx.conn())
        .await
}

fn created_after(account: AccountId, kind: DeliveryKind, since: Time) -> Select<Entity> {
    Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::Kind.eq(kind.as_str()))
        .filter(Column::CreatedAt.gt(since))
}

/// The mails to this address, in any case of letters.
fn to(mails: Select<Entity>, address: &str) -> Select<Entity> {
    let lower = Func::lower(Expr::col((Entity, Column::RecipientEmail)));
    mails.filter(Expr::expr(lower).eq(address.to_lowercase()))
}
