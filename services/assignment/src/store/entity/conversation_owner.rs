//! A row of `conversation_owners`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "conversation_owners")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: Uuid,
    /// None: no agent owns the conversation.
    pub agent_id: Option<Uuid>,
    /// The ownership epoch of `agent_id`; 0 before the first one is known.
    pub epoch: i64,
    pub open: bool,
    /// The version of the conversation at which `open` was read; 0 while it is assumed.
    pub status_version: i64,
    /// Number of the events about the conversation's queue.
    pub queue_version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
