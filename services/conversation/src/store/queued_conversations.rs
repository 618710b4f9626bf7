//! How conversations wait in the queues of routing. A row counts while the conversation has its epoch, is open and unassigned: so it ends
//! with the change of owner or the close, before the event about it arrives.

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

/// Writes how a conversation waits, unless something newer is known. Returns whether it was written.
pub(crate) async fn save(tx: &Tx, queued: &QueuedConversation, now: Time) -> Result<bool, DbErr> {
    let (account, conversation) = (queued.account, queued.conversation);
    let absent = OnConflict::column(Column::ConversationId).do_nothing().to_owned();
    let new = Model {
        conversation_id: conversation,
        account_id: account,
        epoch: 0,
        waiting: false,
        team_ids: "[]".into(),
        version: 0,
        changed_at: now,
    };
    let row = new.into_active_model().reset_all();
    Entity::insert(row).on_conflict(absent).exec_without_returning(tx.conn()).await?;
    let known = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::ConversationId.eq(conversation));
    let known = known.lock_exclusive().one(tx.conn()).await?;
    if known.is_none_or(|known| known.version >= queued.version) {
        return Ok(false);
    }
    save_teams(tx, queued).await?;
    let team_ids = serde_json::to_string(&queued.teams).map_err(|error| DbErr::Type(error.to_string()))?;
    Entity::update_many()
        .filter(Column::AccountId.eq(account))
        .filter(Column::ConversationId.eq(conversation))
        .col_expr(Column::Epoch, Expr::value(queued.epoch))
        .col_expr(Column::Waiting, Expr::value(queued.waiting))
        .col_expr(Column::TeamIds, Expr::value(team_ids))
        .col_expr(Column::Version, Expr::value(queued.version))
        .col_expr(Column::ChangedAt, Expr::value(now))
        .exec(tx.conn())
        .await?;
    Ok(true)
}

async fn save_teams(tx: &Tx, queued: &QueuedConversation) -> Result<(), DbErr> {
    team::Entity::delete_many()
        .filter(team::Column::AccountId.eq(queued.account))
        .filter(team::Column::ConversationId.eq(queued.conversation))
        .exec(tx.conn())
        .await?;
    if !queued.waiting || queued.teams.is_empty() {
        return Ok(());
    }
    let row = |team_id: &Uuid| team::Model {
        account_id: queued.account,
        team_id: *team_id,
        conversation_id: queued.conversation,
        epoch: queued.epoch,
    };
    let rows = queued.teams.iter().map(|team| row(team).into_active_model().reset_all());
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
