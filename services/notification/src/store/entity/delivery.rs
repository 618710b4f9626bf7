//! `deliveries`: one mail to one recipient.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::{Kind, State};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "deliveries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub kind: Kind,
    pub state: State,
    pub conversation_id: Option<Uuid>,
    /// The close whose transcript it is; 0: it was not sent by itself.
    pub close_number: i32,
    pub contact_id: Option<Uuid>,
    /// The sender chosen at the close; for a verification, the sender that is verified.
    pub sender_id: Option<Uuid>,
    /// True: the channel is asked for the sender when the mail is composed.
    pub sender_from_channel: bool,
    pub until_sequence: i64,
    /// The recipient's address was not verified at the close.
    pub unverified: bool,
    pub requested_by: String,
    /// Empty until it is composed, unless it was asked for.
    pub recipient: String,
    /// As asked for; empty: the usual one.
    pub subject: String,
    /// As asked for; empty: the contact's.
    pub time_zone: String,
    pub mail_from: String,
    pub message_id: String,
    /// The date of the mail; None: not composed yet.
    pub composed_at: Option<Time>,
    pub compose_failures: i32,
    pub attempts: i32,
    /// Attempts that do not count any more since a person asked for a retry.
    pub attempts_before_retry: i32,
    pub unknown_outcomes: i32,
    pub last_response: String,
    pub failure: String,
    /// Rises with each claim: who holds an old one has lost the delivery.
    pub claim: i64,
    /// A worker has it until `due_at`.
    pub leased: bool,
    pub due_at: Time,
    pub created_at: Time,
    pub sent_at: Option<Time>,
    /// The trace of whoever made it, which its attempts continue.
    pub traceparent: String,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
