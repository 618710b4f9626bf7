//! A row of `queued_conversations`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::QueuedConversation;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "queued_conversations")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: Uuid,
    pub account_id: AccountId,
    pub epoch: i64,
    pub waiting: bool,
    /// A JSON array.
    pub team_ids: String,
    pub version: i64,
    /// When it changed.
    pub changed_at: Time,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for QueuedConversation {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        Ok(Self {
            conversation: row.conversation_id,
            account: row.account_id,
            epoch: row.epoch,
            waiting: row.waiting,
            teams: serde_json::from_str(&row.team_ids).map_err(|error| DbErr::Type(error.to_string()))?,
            version: row.version,
        })
    }
}
