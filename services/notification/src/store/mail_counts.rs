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
use crate::domain::{DeliveryKind, LimitScope, MailLimit, UnverifiedCounts};

/// Locks the account's row: of concurrent requests, each counts the mails of those before it.
pub(crate) async fn lock(tx: &Tx, account: AccountId) -> Result<(), DbErr> {
    mail_account::Entity::insert(mail_account::ActiveModel { account_id: Set(account.0) })
        .on_conflict(OnConflict::column(mail_account::Column::AccountId).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    mail_account::Entity::find_by_id(account.0).lock_exclusive().one(tx.conn()).await?;
    Ok(())
}

/// Counts automatic transcripts created after `since`: those to the contact, and those to unverified addresses.
pub(crate) async fn count_unverified<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    contact: Uuid,
    since: Time,
) -> Result<UnverifiedCounts, DbErr> {
    let transcripts = || created_after(account, DeliveryKind::Transcript, since);
    Ok(UnverifiedCounts {
        to_contact: transcripts().filter(Column::ContactId.eq(contact)).count(db).await?,
        of_account: transcripts().filter(Column::Unverified.eq(true)).count(db).await?,
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
    let mails = created_after(account, limit.kind, since);
    let mails = match &limit.scope {
        LimitScope::Account => mails,
        LimitScope::RequestedBy(actor) => mails.filter(Column::RequestedBy.eq(actor)),
        LimitScope::Recipient(address) => {
            let lower = Func::lower(Expr::col((Entity, Column::RecipientEmail)));
            mails.filter(Expr::expr(lower).eq(address.to_lowercase()))
        }
    };
    mails
        .select_only()
        .column(Column::CreatedAt)
        .order_by_desc(Column::CreatedAt)
        .offset(limit.max.saturating_sub(1))
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
