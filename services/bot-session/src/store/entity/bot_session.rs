//! A row of `bot_sessions`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "bot_sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub bot_id: Uuid,
    pub conversation_id: Uuid,
    pub status: String,
    /// The flow of a session that names no version. Otherwise empty.
    pub flow: String,
    pub step_id: Option<String>,
    pub last_sequence: i64,
    pub turn: i64,
    pub timeout_us: Option<i64>,
    pub started_at: Time,
    pub deadline_at: Option<Time>,
    #[sea_orm(column_name = "ask_at")]
    pub next_check_at: Option<Time>,
    pub ended_at: Option<Time>,
    pub version: i64,
    pub flow_version: Option<i64>,
    pub question_sequence: Option<i64>,
    pub failed_checks: i64,
    pub reminder_before_us: Option<i64>,
    pub reminded_of_at: Option<Time>,
    /// A JSON array.
    pub answers: String,
    pub wrong_answers: i64,
    /// A JSON object.
    pub choices: Option<String>,
}

/// A row without the flow that older sessions have in it.
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "Entity")]
pub struct WithoutFlow {
    pub id: Uuid,
    pub account_id: AccountId,
    pub bot_id: Uuid,
    pub conversation_id: Uuid,
    pub status: String,
    pub step_id: Option<String>,
    pub last_sequence: i64,
    pub turn: i64,
    pub timeout_us: Option<i64>,
    pub started_at: Time,
    pub deadline_at: Option<Time>,
    pub next_check_at: Option<Time>,
    pub ended_at: Option<Time>,
    pub version: i64,
    pub flow_version: Option<i64>,
    pub question_sequence: Option<i64>,
    pub failed_checks: i64,
    pub reminder_before_us: Option<i64>,
    pub reminded_of_at: Option<Time>,
    /// A JSON array.
    pub answers: String,
    pub wrong_answers: i64,
    /// A JSON object.
    pub choices: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
