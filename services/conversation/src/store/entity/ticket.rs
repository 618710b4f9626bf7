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
    pub updated_at: Time,
    pub version: i64,
    pub of_contact: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Ticket> for Model {
    fn from(ticket: Ticket) -> Self {
        Self {
            id: ticket.id,
            account_id: ticket.account,
            conversation_id: ticket.conversation_id,
            contact_id: ticket.contact_id,
            subject: ticket.subject,
            status: ticket.status,
            url: ticket.url,
            created_at: ticket.created_at,
            updated_at: ticket.updated_at,
            version: ticket.version,
            of_contact: ticket.of_contact,
        }
    }
}

impl From<Model> for Ticket {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            account: row.account_id,
            conversation_id: row.conversation_id,
            contact_id: row.contact_id,
            subject: row.subject,
            status: row.status,
            url: row.url,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
            of_contact: row.of_contact,
        }
    }
}
