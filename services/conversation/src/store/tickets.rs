//! Tickets.

use std::collections::HashSet;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_outbox::{Aggregate, append};
use frontdesk_proto::event::v1 as events;
use sea_orm::{
    Condition, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QuerySelect, Select, entity::prelude::*,
    sea_query::ExprTrait,
};
use uuid::Uuid;

use super::{
    SOURCE,
    entity::tickets::{Column, Entity, Model},
};
use crate::domain::TicketStatus;

fn of(account: AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account))
}

pub(crate) async fn find<C: ConnectionTrait>(conn: &C, account: AccountId, id: Uuid) -> Result<Option<Model>, DbErr> {
    of(account).filter(Column::Id.eq(id)).one(conn).await
}

pub(crate) async fn find_for_update(tx: &Tx, account: AccountId, id: Uuid) -> Result<Option<Model>, DbErr> {
    of(account).filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await
}

/// Which conversations and contacts have tickets that a close counts (rule T2).
pub(crate) struct Had {
    made_in: HashSet<(AccountId, Uuid)>,
    open_of: HashSet<(AccountId, Uuid)>,
}

impl Had {
    /// Looks it up for these conversations and contacts.
    pub(crate) async fn find<C: ConnectionTrait>(
        conn: &C,
        conversations: impl Iterator<Item = (AccountId, Uuid)>,
        contacts: impl Iterator<Item = (AccountId, Uuid)>,
    ) -> Result<Self, DbErr> {
        let (mut accounts, made_in): (HashSet<_>, HashSet<_>) = conversations.unzip();
        let (accounts_of_contacts, contacts): (HashSet<_>, HashSet<_>) = contacts.unzip();
        accounts.extend(accounts_of_contacts);
        let mut which = Condition::any().add(Column::ConversationId.is_in(made_in));
        if !contacts.is_empty() {
            which = which.add(Column::ContactId.is_in(contacts).and(Column::Status.eq(TicketStatus::Open)));
        }
        let rows = Entity::find().filter(Column::AccountId.is_in(accounts)).filter(which).all(conn).await?;
        let open = rows.iter().filter(|row| row.status == TicketStatus::Open);
        Ok(Self {
            made_in: rows.iter().map(|row| (row.account_id, row.conversation_id)).collect(),
            open_of: open.map(|row| (row.account_id, row.contact_id)).collect(),
        })
    }

    /// Was a ticket made in the conversation, or has the contact one that is not closed?
    pub(crate) fn any_for(&self, account: AccountId, conversation: Uuid, contact: Option<Uuid>) -> bool {
        self.made_in.contains(&(account, conversation))
            || contact.is_some_and(|contact| self.open_of.contains(&(account, contact)))
    }
}

/// Tickets, newest first, after the cursor.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    contact: Option<Uuid>,
    conversation: Option<Uuid>,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut query = of(account);
    if let Some(contact) = contact {
        query = query.filter(Column::ContactId.eq(contact));
    }
    if let Some(conversation) = conversation {
        query = query.filter(Column::ConversationId.eq(conversation));
    }
    if let Some((time, id)) = after {
        let later = Column::CreatedAt.lt(time);
        query = query.filter(Condition::any().add(later).add(Column::CreatedAt.eq(time).and(Column::Id.lt(id))));
    }
    query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).limit(limit).all(conn).await
}

/// Writes a new ticket.
pub(crate) async fn insert(tx: &mut Tx, ticket: &Model) -> Result<(), DbErr> {
    Entity::insert(ticket.clone().into_active_model().reset_all()).exec_without_returning(tx.conn()).await?;
    let event = events::TicketCreated {
        ticket_id: ticket.id.to_string(),
        conversation_id: ticket.conversation_id.to_string(),
        contact_id: ticket.contact_id.to_string(),
    };
    append(tx, aggregate(ticket), &event).await
}

/// Writes a changed ticket under its next version.
pub(crate) async fn save(tx: &mut Tx, ticket: &mut Model) -> Result<(), DbErr> {
    ticket.version += 1;
    let row = ticket.clone().into_active_model().reset_all();
    Entity::update(row).validate()?.filter(Column::AccountId.eq(ticket.account_id)).exec(tx.conn()).await?;
    append(tx, aggregate(ticket), &events::TicketUpdated { ticket_id: ticket.id.to_string() }).await
}

fn aggregate(ticket: &Model) -> Aggregate {
    Aggregate { source: SOURCE, account: ticket.account_id, kind: "ticket", id: ticket.id, version: ticket.version }
}
