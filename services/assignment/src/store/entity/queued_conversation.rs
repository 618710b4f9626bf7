//! A row of `routing_queue`.

use frontdesk_clock::Time;
use sea_orm::entity::prelude::*;

use crate::domain::Waiting;

/// The number in `state` of a conversation that waits.
pub const WAITING: i32 = 1;
/// The number of one for which a place is reserved.
pub const RESERVED: i32 = 2;
/// The number of one that left routing. The row stays, so that a repeated event does not bring it back.
pub const LEFT: i32 = 3;
/// The number of one that has another epoch or an owner, or is closed. The row is removed when that is published.
pub const OVER: i32 = 4;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "routing_queue")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: Uuid,
    pub epoch: i64,
    pub policy_id: Option<Uuid>,
    pub contact_owner_id: Option<Uuid>,
    pub waiting_since: Time,
    pub state: i32,
    pub agent_id: Option<Uuid>,
    pub check_at: Option<Time>,
    /// When the state in the queue is published next. None: it does not change by time.
    pub publish_at: Option<Time>,
    /// What was published last, as a JSON object. None: nothing.
    pub published: Option<String>,
    /// The team whose members get it. None: the policy says who does.
    pub team_id: Option<Uuid>,
    /// The agent to whom it returns if they can take it.
    pub last_owner_id: Option<Uuid>,
    /// When its visitor gets the message of the policy again, unless it is confirmed.
    pub notice_at: Option<Time>,
    /// The end of the closing for which its visitor got the message.
    pub noticed_until: Option<Time>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for Waiting {
    fn from(row: Model) -> Self {
        Self {
            conversation: row.conversation_id,
            epoch: row.epoch,
            policy: row.policy_id,
            team: row.team_id,
            contact_owner: row.contact_owner_id,
            last_owner: row.last_owner_id,
            since: row.waiting_since,
            noticed_until: row.noticed_until,
        }
    }
}
