//! `deliveries`: one mail to one recipient. The fields are described in `domain/delivery.rs`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "deliveries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub kind: String,
    #[sea_orm(column_name = "state")]
    pub status: String,
    pub conversation_id: Option<Uuid>,
    pub close_number: i32,
    pub contact_id: Option<Uuid>,
    pub sender_id: Option<Uuid>,
    pub sender_from_channel: bool,
    pub until_sequence: i64,
    pub unverified: bool,
    pub requested_by: String,
    #[sea_orm(column_name = "recipient")]
    pub recipient_email: String,
    /// The mailbox that the recipient's address leads to, by which mails are counted.
    pub mailbox: String,
    /// The domain of the recipient's address, by which deliveries take turns. Empty: there is no address yet, or an older release has
    /// written the row.
    pub recipient_domain: String,
    pub subject: String,
    pub time_zone: String,
    /// 0: none.
    pub max_transcript_bytes: i64,
    pub mail_from: String,
    #[sea_orm(column_name = "message_id")]
    pub mail_message_id: String,
    pub composed_at: Option<Time>,
    pub compose_failures: i32,
    #[sea_orm(column_name = "attempts")]
    pub attempt_count: i32,
    pub attempts_before_retry: i32,
    pub unknown_outcomes: i32,
    pub last_response: String,
    pub failure: String,
    pub claim: i64,
    #[sea_orm(column_name = "leased")]
    pub claimed: bool,
    pub due_at: Time,
    pub created_at: Time,
    pub sent_at: Option<Time>,
    pub traceparent: String,
    /// Empty: nothing was reported.
    pub bounce_kind: String,
    pub bounce_status_code: String,
    pub bounced_at: Option<Time>,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
