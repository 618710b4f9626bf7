//! Counts of an account's mails, for limits (rules T2, S4).

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryOrder, QuerySelect, Set,
    entity::prelude::*,
    sea_query::{ExprTrait, Func, OnConflict},
};

use super::entity::{
    delivery::{Column, Entity},
    mail_account,
};
use crate::{domain::Kind, settings::NotificationSettings};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Locks the account's counts: of mails that are asked for at once, each is counted before the next is allowed.
pub(crate) async fn lock(tx: &Tx, account: AccountId) -> Result<(), DbErr> {
    mail_account::Entity::insert(mail_account::ActiveModel { account_id: Set(account.0) })
        .on_conflict(OnConflict::column(mail_account::Column::AccountId).do_nothing().to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    mail_account::Entity::find_by_id(account.0).lock_exclusive().one(tx.conn()).await?;
    Ok(())
}

/// True: an address of this contact that nobody verified had its share of automatic transcripts, or such addresses of the
/// whole account had theirs.
pub(crate) async fn past_unverified<C: ConnectionTrait>(
    db: &C,
    settings: &NotificationSettings,
    account: AccountId,
    contact: Uuid,
    now: Time,
) -> Result<bool, DbErr> {
    let lately = || since_of(account, Kind::Transcript, now.minus(DAY));
    let to_contact = lately().filter(Column::ContactId.eq(contact)).count(db).await?;
    let of_account = lately().filter(Column::Unverified.eq(true)).count(db).await?;
    Ok(to_contact >= settings.unverified_per_contact_per_day || of_account >= settings.unverified_per_account_per_day)
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
