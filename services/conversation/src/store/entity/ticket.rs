//! A row of `tickets`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::{Ticket, TicketStatus};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "tickets")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub conversation_id: Uuid,
    pub contact_id: Uuid,
    pub subject: String,
    pub status: TicketStatus,
    pub url: String,
    pub created_at: Time,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Ticket> for Model {
    fn from(ticket: Ticket) -> Self {
        let Ticket { id, account, conversation_id, contact_id, subject, status, url, created_at, version } = ticket;
        Self { id, account_id: account, conversation_id, contact_id, subject, status, url, created_at, version }
    }
}

impl From<Model> for Ticket {
    fn from(row: Model) -> Self {
        let Model { id, account_id, conversation_id, contact_id, subject, status, url, created_at, version } = row;
        Self { id, account: account_id, conversation_id, contact_id, subject, status, url, created_at, version }
    }
}
