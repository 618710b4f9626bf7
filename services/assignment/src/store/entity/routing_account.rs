//! A row of `routing_accounts`.

use frontdesk_clock::Time;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "routing_accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// None: nothing waits that time alone could change.
    pub look_at: Option<Time>,
    /// Number of conversations that were routed; -1: nothing ever waited.
    pub last_turn: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
