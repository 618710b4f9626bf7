//! Counts of an account's mails, which `domain/mail_limits.rs` compares with the limits (rules T2, S4).

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    Condition, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryOrder, QuerySelect, Select,
    SelectGetableTuple, Selector, Set, entity::prelude::*, sea_query::OnConflict,
};

use super::entity::{
    delivery::{Column, Entity},
    delivery_retry, mail_account,
};
use crate::domain::{
    AutomaticCounts, Counted, DAY, Delivery, DeliveryKind, DeliveryStatus, HOUR, LimitScope, MailLimit, mailbox,
};

/// Locks the account's row: of concurrent requests, each counts the mails of those before it.
pub(crate) async fn lock(tx: &Tx, account: AccountId) -> Result<(), DbErr> {
    let row = mail_account::ActiveModel { account_id: Set(account.0), ..Default::default() };
    mail_account::Entity::insert(row)
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
    interval: Duration,
    now: Time,
) -> Result<AutomaticCounts, DbErr> {
    let in_interval = to(mailed_since(account, conversation, now.minus(interval)), recipient);
    let within = |window| created_after(account, DeliveryKind::Transcript, now.minus(window));
    let unverified = || within(DAY).filter(Column::Unverified.eq(true));
    Ok(AutomaticCounts {
        in_interval: in_interval.count(db).await?,
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
    match limit.counted {
        Counted::Mails(kind) => {
            let mails = created_after(account, kind, since);
            let mails = match &limit.scope {
                LimitScope::Account => mails,
                LimitScope::RequestedBy(actor) => mails.filter(Column::RequestedBy.eq(actor)),
                LimitScope::Recipient(address) => to(mails, address),
            };
            newest_but(mails, Column::CreatedAt, before).one(tx.conn()).await
        }
        Counted::Retries => {
            use delivery_retry::Column;
            let retries = delivery_retry::Entity::find().filter(Column::AccountId.eq(account));
            let retries = retries.filter(Column::CreatedAt.gt(since));
            let retries = match &limit.scope {
                LimitScope::Account => retries,
                LimitScope::RequestedBy(actor) => retries.filter(Column::RequestedBy.eq(actor)),
                LimitScope::Recipient(address) => retries.filter(Column::Mailbox.eq(mailbox(address))),
            };
            newest_but(retries, Column::CreatedAt, before).one(tx.conn()).await
        }
    }
}

/// Counts a retry of the delivery from now on, and forgets those that count no more.
pub(crate) async fn insert_retry(tx: &Tx, delivery: &Delivery, requested_by: String, now: Time) -> Result<(), DbErr> {
    use delivery_retry::{ActiveModel, Column, Entity};
    Entity::delete_many()
        .filter(Column::AccountId.eq(delivery.account))
        .filter(Column::CreatedAt.lte(now.minus(HOUR)))
        .exec(tx.conn())
        .await?;
    let retry = ActiveModel {
        id: Set(tx.new_id()),
        account_id: Set(delivery.account),
        requested_by: Set(requested_by),
        mailbox: Set(mailbox(&delivery.recipient_email)),
        created_at: Set(now),
    };
    Entity::insert(retry).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Forgets the retries of mails to the mailbox of this address.
pub(crate) async fn delete_retries_to(tx: &Tx, account: AccountId, recipient: &str) -> Result<(), DbErr> {
    use delivery_retry::{Column, Entity};
    Entity::delete_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::Mailbox.eq(mailbox(recipient)))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Selects the time of the row that has `before` newer ones.
fn newest_but<E: EntityTrait>(
    rows: Select<E>,
    created_at: E::Column,
    before: u64,
) -> Selector<SelectGetableTuple<Time>> {
    rows.select_only().column(created_at).order_by_desc(created_at).offset(before).limit(1).into_tuple()
}

fn created_after(account: AccountId, kind: DeliveryKind, since: Time) -> Select<Entity> {
    Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::Kind.eq(kind.as_str()))
        .filter(Column::CreatedAt.gt(since))
}

/// The automatic transcripts of the conversation that were requested or sent after `since`, without those that reach nobody. One whose
/// sending was delayed counts from the time at which it was sent.
fn mailed_since(account: AccountId, conversation: Uuid, since: Time) -> Select<Entity> {
    let unsent = [DeliveryStatus::Failed, DeliveryStatus::Cancelled].map(DeliveryStatus::as_str);
    Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ConversationId.eq(conversation))
        .filter(Column::Kind.eq(DeliveryKind::Transcript.as_str()))
        .filter(Column::Status.is_not_in(unsent))
        .filter(Condition::any().add(Column::CreatedAt.gt(since)).add(Column::SentAt.gt(since)))
}

/// The mails to the mailbox of this address.
fn to(mails: Select<Entity>, address: &str) -> Select<Entity> {
    mails.filter(Column::Mailbox.eq(mailbox(address)))
}
