//! What agents want to be mailed (rule N4).

use frontdesk_db::{AccountId, Tx};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Set, entity::prelude::*, sea_query::OnConflict};

use super::entity::notification_preference::{ActiveModel, Column, Entity};
use crate::domain::NotificationPreferences;

/// Returns the agent's preferences; the default ones of an agent who changed none.
pub(crate) async fn find<C: ConnectionTrait>(
    db: &C,
    account: AccountId,
    agent: Uuid,
) -> Result<NotificationPreferences, DbErr> {
    let query = Entity::find().filter(Column::AccountId.eq(account)).filter(Column::AgentId.eq(agent));
    let row = query.one(db).await?;
    Ok(row.map_or_else(NotificationPreferences::default, |row| NotificationPreferences {
        mentions: row.mentions,
        assignments: row.assignments,
    }))
}

/// Stores the agent's preferences in the place of those before.
pub(crate) async fn save(
    tx: &Tx,
    account: AccountId,
    agent: Uuid,
    preferences: NotificationPreferences,
) -> Result<(), DbErr> {
    let row = ActiveModel {
        account_id: Set(account),
        agent_id: Set(agent),
        mentions: Set(preferences.mentions),
        assignments: Set(preferences.assignments),
    };
    let replaced = OnConflict::columns([Column::AccountId, Column::AgentId])
        .update_columns([Column::Mentions, Column::Assignments])
        .to_owned();
    Entity::insert(row).on_conflict(replaced).exec_without_returning(tx.conn()).await?;
    Ok(())
}
