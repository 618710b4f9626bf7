//! What the mails to agents are about (rule N4).

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, entity::prelude::*};

use super::entity::agent_mail::{Column, Entity, Model};
use crate::domain::AgentMail;

/// How long a row is kept after its mail was due: a delivery can be composed again until then (30 days).
const KEEP: Duration = Duration::from_secs(30 * 24 * 3600);

pub(crate) async fn insert(tx: &Tx, mail: &AgentMail) -> Result<(), DbErr> {
    Entity::insert(to_row(mail).into_active_model()).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Writes every column.
pub(crate) async fn save(tx: &Tx, mail: &AgentMail) -> Result<(), DbErr> {
    let row = to_row(mail).into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(mail.account)).exec(tx.conn()).await?;
    Ok(())
}

/// Returns the mail of a delivery, locked until the transaction ends.
pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, delivery: Uuid) -> Result<Option<AgentMail>, DbErr> {
    let query = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::DeliveryId.eq(delivery));
    Ok(query.lock_exclusive().one(tx.conn()).await?.map(to_domain))
}

/// Returns the last mail to the agent about the conversation, locked until the transaction ends.
pub(crate) async fn find_last_for_update(
    tx: &Tx,
    account: AccountId,
    agent: Uuid,
    conversation: Uuid,
) -> Result<Option<AgentMail>, DbErr> {
    let query = Entity::find()
        .filter(Column::AccountId.eq(account))
        .filter(Column::AgentId.eq(agent))
        .filter(Column::ConversationId.eq(conversation))
        .order_by_desc(Column::DueAt)
        .limit(1);
    Ok(query.lock_exclusive().one(tx.conn()).await?.map(to_domain))
}

/// Deletes the account's rows that are not needed any more.
pub(crate) async fn delete_old(tx: &Tx, account: AccountId, now: Time) -> Result<(), DbErr> {
    Entity::delete_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::DueAt.lt(now.minus(KEEP)))
        .exec(tx.conn())
        .await?;
    Ok(())
}

fn to_row(mail: &AgentMail) -> Model {
    Model {
        delivery_id: mail.delivery,
        account_id: mail.account,
        agent_id: mail.agent,
        conversation_id: mail.conversation,
        mentions: mail.mentions,
        assignments: mail.assignments,
        takes_more: mail.takes_more,
        due_at: mail.due_at,
    }
}

fn to_domain(row: Model) -> AgentMail {
    AgentMail {
        delivery: row.delivery_id,
        account: row.account_id,
        agent: row.agent_id,
        conversation: row.conversation_id,
        mentions: row.mentions,
        assignments: row.assignments,
        takes_more: row.takes_more,
        due_at: row.due_at,
    }
}
