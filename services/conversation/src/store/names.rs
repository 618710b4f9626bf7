//! Names of agents and bots, as far as this service knows them, and of contacts.

use std::collections::{HashMap, HashSet};

use frontdesk_db::{AccountId, Tx};
use sea_orm::{
    DbErr, EntityTrait, IntoActiveModel,
    entity::prelude::*,
    sea_query::{ExprTrait, OnConflict},
};
use uuid::Uuid;

use super::entity::{agents, bots, contacts};
use crate::domain::{Author, AuthorKind, Content, Conversation, Entry, Link, Owner, OwnerKind};

/// An owner with their name; empty where it is not known.
#[derive(Clone, Debug)]
pub(crate) struct NamedOwner {
    pub owner: Owner,
    pub id: Uuid,
    pub name: String,
}

impl NamedOwner {
    pub(crate) fn kind(&self) -> &'static str {
        match self.owner.kind {
            OwnerKind::Agent => "AGENT",
            OwnerKind::Bot => "BOT",
        }
    }
}

/// Names by kind and id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    agents: HashMap<Uuid, String>,
    bots: HashMap<Uuid, String>,
    /// The conversation's contact.
    contact: String,
}

impl Names {
    /// Of one owner.
    pub(crate) fn of_one(owner: Owner, name: String) -> Self {
        let names = HashMap::from([(owner.id, name)]);
        match owner.kind {
            OwnerKind::Agent => Self { agents: names, ..Self::default() },
            OwnerKind::Bot => Self { bots: names, ..Self::default() },
        }
    }

    pub(crate) fn of_owner(&self, owner: Owner) -> String {
        let names = match owner.kind {
            OwnerKind::Agent => &self.agents,
            OwnerKind::Bot => &self.bots,
        };
        names.get(&owner.id).cloned().unwrap_or_default()
    }

    pub(crate) fn of_author(&self, author: &Author) -> String {
        let owner = |kind| author.id.parse().map(|id| self.of_owner(Owner { kind, id })).unwrap_or_default();
        match author.kind {
            AuthorKind::Agent => owner(OwnerKind::Agent),
            AuthorKind::Bot => owner(OwnerKind::Bot),
            AuthorKind::Visitor => self.contact.clone(),
            AuthorKind::System => String::new(),
        }
    }
}

/// Everybody named by a conversation and these entries of it.
pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    conversation: &Conversation,
    entries: &[Entry],
) -> Result<Names, DbErr> {
    let owners = conversation.owner().into_iter().chain(named(entries));
    let mut names = find_owners(conn, conversation.row.account_id, owners.collect::<HashSet<_>>()).await?;
    names.contact = of_visitor(conn, conversation).await?;
    Ok(names)
}

/// The agents and bots named by these entries.
pub(crate) async fn find_named<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    entries: &[Entry],
) -> Result<Names, DbErr> {
    find_owners(conn, account, named(entries).collect::<HashSet<_>>()).await
}

fn named(entries: &[Entry]) -> impl Iterator<Item = Owner> {
    entries.iter().flat_map(|entry| {
        let kind = match entry.author.kind {
            AuthorKind::Agent => Some(OwnerKind::Agent),
            AuthorKind::Bot => Some(OwnerKind::Bot),
            AuthorKind::Visitor | AuthorKind::System => None,
        };
        let author = kind.and_then(|kind| Some(Owner { kind, id: entry.author.id.parse().ok()? }));
        let (from, to) = match &entry.content {
            Content::AssigneeChanged { from, to, .. } => (*from, *to),
            _ => (None, None),
        };
        [author, from, to].into_iter().flatten()
    })
}

/// The visitor's name: that of the contact, when it is their own; one that they only typed their way to says nothing of them.
pub(crate) async fn of_visitor<C: ConnectionTrait>(conn: &C, conversation: &Conversation) -> Result<String, DbErr> {
    let row = &conversation.row;
    let Some(contact) = row.contact_id else { return Ok(String::new()) };
    let visitor = super::contacts::find_visitor(conn, row.account_id, &row.visitor_id).await?;
    if !visitor.is_some_and(|visitor| visitor.link == Link::Own && visitor.contact_id == contact) {
        return Ok(String::new());
    }
    let named = contacts::Entity::find().filter(contacts::Column::AccountId.eq(row.account_id));
    let named = named.filter(contacts::Column::Id.eq(contact)).one(conn).await?;
    Ok(named.map(|contact| contact.name).unwrap_or_default())
}

/// The names of these owners.
pub(crate) async fn find_owners<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    owners: impl IntoIterator<Item = Owner>,
) -> Result<Names, DbErr> {
    let (agents, bots): (Vec<Owner>, Vec<Owner>) = owners.into_iter().partition(|owner| owner.kind == OwnerKind::Agent);
    let mut names = Names::default();
    if !agents.is_empty() {
        let rows = agents::Entity::find()
            .filter(agents::Column::AccountId.eq(account))
            .filter(agents::Column::Id.is_in(agents.into_iter().map(|owner| owner.id)))
            .all(conn)
            .await?;
        names.agents = rows.into_iter().map(|row| (row.id, row.name)).collect();
    }
    if !bots.is_empty() {
        let rows = bots::Entity::find()
            .filter(bots::Column::AccountId.eq(account))
            .filter(bots::Column::Id.is_in(bots.into_iter().map(|owner| owner.id)))
            .all(conn)
            .await?;
        names.bots = rows.into_iter().map(|row| (row.id, row.name)).collect();
    }
    Ok(names)
}

/// The owner of the conversation by name.
pub(crate) async fn owner<C: ConnectionTrait>(
    conn: &C,
    conversation: &Conversation,
) -> Result<Option<NamedOwner>, DbErr> {
    let Some(owner) = conversation.owner() else { return Ok(None) };
    let names = find_owners(conn, conversation.row.account_id, [owner]).await?;
    Ok(Some(NamedOwner { owner, id: owner.id, name: names.of_owner(owner) }))
}

/// The agent, as far as this service knows them.
pub(crate) async fn find_agent<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    id: Uuid,
) -> Result<Option<agents::Model>, DbErr> {
    agents::Entity::find()
        .filter(agents::Column::AccountId.eq(account))
        .filter(agents::Column::Id.eq(id))
        .one(conn)
        .await
}

/// An agent who is named in passing: until the roster's own word arrives.
pub(crate) async fn mention_agent(tx: &Tx, account: AccountId, id: Uuid, name: &str) -> Result<(), DbErr> {
    keep_agent(tx, agents::Model { account_id: account, id, name: name.to_owned(), active: true, version: 0 }).await
}

/// Keeps what the roster says of an agent, unless something newer is known.
pub(crate) async fn keep_agent(tx: &Tx, agent: agents::Model) -> Result<(), DbErr> {
    let version = agent.version;
    let row = agent.into_active_model().reset_all();
    let newer = OnConflict::columns([agents::Column::AccountId, agents::Column::Id])
        .update_columns([agents::Column::Name, agents::Column::Active, agents::Column::Version])
        .action_and_where(Expr::col((agents::Entity, agents::Column::Version)).lt(version))
        .to_owned();
    agents::Entity::insert(row).on_conflict(newer).exec_without_returning(tx.conn()).await?;
    Ok(())
}
