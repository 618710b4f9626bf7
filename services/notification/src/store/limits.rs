//! Counts of an account's mails, for limits (rules T2, S4).

use frontdesk_auth::AccountId;
use frontdesk_clock::Time;
use frontdesk_db::Tx;
use sea_orm::{
    DbErr, EntityTrait, PaginatorTrait, QueryOrder, QuerySelect, Set,
    entity::prelude::*,
    sea_query::{ExprTrait, Func, OnConflict},
};

use super::entity::{
    delivery::{Column, Entity},
    mail_account,
};
use crate::domain::Kind;

/// Locks the account's counts: of mails that are asked for at once, each is counted before the next is allowed.
pub(crate) async fn lock(tx: &Tx, account: AccountId) -> Result<(), DbErr> {
    mail_account::Entity::insert(mail_account::ActiveModel { account_id: Set(account.0) })
        .on_conflict(OnConflict::column(mail_account::Column::AccountId).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    mail_account::Entity::find_by_id(account.0).lock_exclusive().one(tx.conn()).await?;
    Ok(())
}

/// Automatic transcripts since a moment to one contact.
pub(crate) async fn automatic_to_contact(
    tx: &Tx,
    account: AccountId,
    contact: Uuid,
    since: Time,
) -> Result<u64, DbErr> {
    let query = since_of(account, Kind::Transcript, since).filter(Column::ContactId.eq(contact));
    query.count(tx.conn()).await
}

/// Automatic transcripts since a moment to addresses that were not verified.
pub(crate) async fn automatic_to_unverified(tx: &Tx, account: AccountId, since: Time) -> Result<u64, DbErr> {
    since_of(account, Kind::Transcript, since).filter(Column::Unverified.eq(true)).count(tx.conn()).await
}

/// Whose mails are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose<'a> {
    Account,
    RequestedBy(&'a str),
    Recipient(&'a str),
}

/// When the mail of this kind was made that has to grow old before another is allowed; None: another is allowed now.
pub(crate) async fn in_the_way(
    tx: &Tx,
    account: AccountId,
    kind: Kind,
    whose: Whose<'_>,
    since: Time,
    limit: u64,
) -> Result<Option<Time>, DbErr> {
    let query = match whose {
        Whose::Account => since_of(account, kind, since),
        Whose::RequestedBy(actor) => since_of(account, kind, since).filter(Column::RequestedBy.eq(actor)),
        Whose::Recipient(address) => {
            let lower = Func::lower(Expr::col((Entity, Column::Recipient)));
            since_of(account, kind, since).filter(Expr::expr(lower).eq(address.to_lowercase()))
        }
    };
    // With a limit of n, the n-th newest is the one in the way.
    query
        .select_only()
        .column(Column::CreatedAt)
        .order_by_desc(Column::CreatedAt)
        .offset(limit.saturating_sub(1))
        .limit(1)
        .into_tuple()
        .one(tx.conn())
        .await
}

fn since_of(account: AccountId, kind: Kind, since: Time) -> sea_orm::Select<Entity> {
    Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::Kind.eq(kind))
        .filter(Column::CreatedAt.gt(since))
}
