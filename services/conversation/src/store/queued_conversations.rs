//! How conversations wait in the queues of routing. A row counts while the conversation has its epoch, is open and unassigned: so it ends
//! with the change of owner or the close, before the event about it arrives.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    Condition, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, QueryTrait,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait, OnConflict, SelectStatement},
};
use uuid::Uuid;

use super::{
    entity::{
        conversation,
        queued_conversation::{Column, Entity, Model},
        queued_conversation_team as team,
    },
    keyset,
};
use crate::domain::{QueuedConversation, Status};

/// How conversations wait, in the order in which they are written: two transactions that write the same ones wait for each other, and never
/// in a circle.
pub(crate) type QueuedConversations = BTreeMap<(Uuid, AccountId), QueuedConversation>;

/// Writes how conversations wait, each unless something newer is known. Returns those that were written.
pub(crate) async fn save(tx: &Tx, queued: &QueuedConversations, now: Time) -> Result<Vec<Uuid>, DbErr> {
    let absent = OnConflict::column(Column::ConversationId).do_nothing().to_owned();
    let new = |queued: &QueuedConversation| Model {
        conversation_id: queued.conversation,
        account_id: queued.account,
        epoch: 0,
        waiting: false,
        team_ids: "[]".into(),
        version: 0,
        changed_at: now,
    };
    let rows = queued.values().map(|queued| new(queued).into_active_model().reset_all());
    Entity::insert_many(rows).on_conflict(absent).exec_without_returning(tx.conn()).await?;
    let known = find_versions_for_update(tx, queued).await?;
    let is_newer = |queued: &&QueuedConversation| {
        known.get(&(queued.conversation, queued.account)).is_some_and(|version| *version < queued.version)
    };
    let newer: Vec<&QueuedConversation> = queued.values().filter(is_newer).collect();
    if newer.is_empty() {
        return Ok(Vec::new());
    }
    save_teams(tx, &newer).await?;
    let row = |queued: &&QueuedConversation| {
        let team_ids = serde_json::to_string(&queued.teams).map_err(|error| DbErr::Type(error.to_string()))?;
        let QueuedConversation { epoch, waiting, version, .. } = **queued;
        Ok(Model { epoch, waiting, team_ids, version, ..new(queued) }.into_active_model().reset_all())
    };
    let rows = newer.iter().map(row).collect::<Result<Vec<_>, DbErr>>()?;
    // The rows exist, and are locked.
    let columns = [Column::Epoch, Column::Waiting, Column::TeamIds, Column::Version, Column::ChangedAt];
    let exists = OnConflict::column(Column::ConversationId).update_columns(columns).to_owned();
    Entity::insert_many(rows).on_conflict(exists).exec_without_returning(tx.conn()).await?;
    Ok(newer.iter().map(|queued| queued.conversation).collect())
}

/// The versions of the rows, locked until the transaction ends.
async fn find_versions_for_update(
    tx: &Tx,
    queued: &QueuedConversations,
) -> Result<BTreeMap<(Uuid, AccountId), i64>, DbErr> {
    let (conversations, accounts): (BTreeSet<Uuid>, BTreeSet<AccountId>) = queued.keys().copied().unzip();
    let rows = Entity::find()
        .filter(Column::AccountId.is_in(accounts))
        .filter(Column::ConversationId.is_in(conversations))
        .order_by_asc(Column::ConversationId)
        .lock_exclusive()
        .all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(|row| ((row.conversation_id, row.account_id), row.version)).collect())
}

/// Writes the teams of conversations whose rows are locked.
async fn save_teams(tx: &Tx, queued: &[&QueuedConversation]) -> Result<(), DbErr> {
    let accounts: BTreeSet<AccountId> = queued.iter().map(|queued| queued.account).collect();
    team::Entity::delete_many()
        .filter(team::Column::AccountId.is_in(accounts))
        .filter(team::Column::ConversationId.is_in(queued.iter().map(|queued| queued.conversation)))
        .exec(tx.conn())
        .await?;
    let mut rows = Vec::new();
    for queued in queued.iter().filter(|queued| queued.waiting) {
        rows.extend(queued.teams.iter().map(|team_id| team::Model {
            account_id: queued.account,
            team_id: *team_id,
            conversation_id: queued.conversation,
            epoch: queued.epoch,
        }));
    }
    let rows = rows.into_iter().map(|row| row.into_active_model().reset_all());
    team::Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// How these conversations wait or waited, with the time of the last change.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversations: Vec<Uuid>,
) -> Result<Vec<(QueuedConversation, Time)>, DbErr> {
    if conversations.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::ConversationId.is_in(conversations));
    let rows = rows.all(conn).await?.into_iter();
    let read = |row: Model| -> Result<_, DbErr> {
        let changed_at = row.changed_at;
        Ok((QueuedConversation::try_from(row)?, changed_at))
    };
    rows.map(read).collect()
}

/// The conversations of these accounts that changed in their queues after this position (time and id), the earliest first, with the time of
/// each.
pub(crate) async fn list_changed_after<C: ConnectionTrait>(
    conn: &C,
    accounts: &[AccountId],
    after: (Time, Uuid),
    limit: u64,
) -> Result<Vec<(Time, Uuid)>, DbErr> {
    Entity::find()
        .select_only()
        .columns([Column::ChangedAt, Column::ConversationId])
        .filter(Column::AccountId.is_in(accounts.iter().copied()))
        .filter(keyset::after([Column::ChangedAt, Column::ConversationId], after))
        .order_by_asc(Column::ChangedAt)
        .order_by_asc(Column::ConversationId)
        .limit(limit)
        .into_tuple()
        .all(conn)
        .await
}

/// Which of these conversations wait, over all accounts.
pub(crate) async fn list_waiting<C: ConnectionTrait>(
    conn: &C,
    conversations: &[Uuid],
) -> Result<Vec<(AccountId, Uuid)>, DbErr> {
    let unassigned = conversation::Entity::find()
        .filter(conversation::Column::Id.is_in(conversations.iter().copied()))
        .filter(conversation::Column::Status.eq(Status::Open))
        .filter(conversation::Column::AssigneeId.is_null())
        .select_only()
        .columns([conversation::Column::Id, conversation::Column::Epoch]);
    let position = Expr::tuple([Column::ConversationId, Column::Epoch].map(|column| Expr::col((Entity, column))));
    Entity::find()
        .select_only()
        .columns([Column::AccountId, Column::ConversationId])
        .filter(Column::ConversationId.is_in(conversations.iter().copied()))
        .filter(Column::Waiting.eq(true))
        .filter(position.in_subquery(unassigned.into_query()))
        .into_tuple()
        .all(conn)
        .await
}

/// Whether a conversation of the surrounding query waits for the team.
pub(super) fn waits_for(account: AccountId, team: Uuid) -> Condition {
    let column = |column: conversation::Column| Expr::col((conversation::Entity, column));
    let position = Expr::tuple([column(conversation::Column::Id), column(conversation::Column::Epoch)]);
    Condition::all()
        .add(column(conversation::Column::Status).eq(Status::Open))
        .add(column(conversation::Column::AssigneeId).is_null())
        .add(position.in_subquery(of_team(account, team)))
}

fn of_team(account: AccountId, team: Uuid) -> SelectStatement {
    team::Entity::find()
        .filter(team::Column::AccountId.eq(account))
        .filter(team::Column::TeamId.eq(team))
        .select_only()
        .columns([team::Column::ConversationId, team::Column::Epoch])
        .into_query()
}
