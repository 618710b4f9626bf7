//! Names that are shown to people: of agents and bots from the local copies, of visitors from their contacts.

use std::collections::{HashMap, HashSet};

use frontdesk_db::AccountId;
use sea_orm::{DbErr, EntityTrait, entity::prelude::*};
use uuid::Uuid;

use super::{
    entity::{agent, bot, contact},
    visitors,
};
use crate::domain::{Actor, ActorKind, ClosingFacts, Content, Conversation, Entry, Owner, OwnerKind};

/// Names by kind and id. An unknown name is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct DisplayNames {
    agents: HashMap<Uuid, String>,
    bots: HashMap<Uuid, String>,
    visitor: String,
}

impl DisplayNames {
    /// The name of one owner.
    pub(crate) fn of_one(owner: Owner, name: String) -> Self {
        let names = HashMap::from([(owner.id, name)]);
        match owner.kind {
            OwnerKind::Agent => Self { agents: names, ..Self::default() },
            OwnerKind::Bot => Self { bots: names, ..Self::default() },
        }
    }

    pub(crate) fn owner(&self, owner: Owner) -> String {
        let names = match owner.kind {
            OwnerKind::Agent => &self.agents,
            OwnerKind::Bot => &self.bots,
        };
        names.get(&owner.id).cloned().unwrap_or_default()
    }

    pub(crate) fn actor(&self, actor: &Actor) -> String {
        match actor.kind {
            ActorKind::Visitor => self.visitor.clone(),
            ActorKind::Agent | ActorKind::Bot | ActorKind::System => {
                actor.as_owner().map(|owner| self.owner(owner)).unwrap_or_default()
            }
        }
    }
}

/// The names of the conversation's owner and visitor, and of everyone in these entries of it.
pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    conversation: &Conversation,
    entries: &[Entry],
) -> Result<DisplayNames, DbErr> {
    let owners = conversation.owner.into_iter().chain(owners_in(entries));
    let mut names = find_owners(conn, conversation.account, owners).await?;
    names.visitor = find_visitor(conn, conversation).await?;
    Ok(names)
}

/// The names of the agents and bots in these entries.
pub(crate) async fn find_in_entries<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    entries: &[Entry],
) -> Result<DisplayNames, DbErr> {
    find_owners(conn, account, owners_in(entries)).await
}

fn owners_in(entries: &[Entry]) -> impl Iterator<Item = Owner> {
    entries.iter().flat_map(|entry| {
        let (from, to) = match &entry.content {
            Content::AssigneeChanged { from, to, .. } => (*from, *to),
            _ => (None, None),
        };
        [entry.author.as_owner(), from, to].into_iter().flatten()
    })
}

/// The visitor's name: that of their own contact. Empty where there is none.
pub(crate) async fn find_visitor<C: ConnectionTrait>(conn: &C, conversation: &Conversation) -> Result<String, DbErr> {
    if conversation.contact_id.is_none() {
        return Ok(String::new());
    }
    let visitor = visitors::find(conn, conversation.account, &conversation.visitor_id).await?;
    let Some(contact) = ClosingFacts::own_contact(conversation, visitor.as_ref()) else { return Ok(String::new()) };
    let row = contact::Entity::find()
        .filter(contact::Column::AccountId.eq(conversation.account))
        .filter(contact::Column::Id.eq(contact));
    Ok(row.one(conn).await?.map(|contact| contact.name).unwrap_or_default())
}

/// The names of these owners.
pub(crate) async fn find_owners<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    owners: impl IntoIterator<Item = Owner>,
) -> Result<DisplayNames, DbErr> {
    let (agents, bots): (HashSet<Owner>, HashSet<Owner>) = owners.into_iter().partition(|owner| owner.is_agent());
    let mut names = DisplayNames::default();
    if !agents.is_empty() {
        let rows = agent::Entity::find()
            .filter(agent::Column::AccountId.eq(account))
            .filter(agent::Column::Id.is_in(agents.into_iter().map(|owner| owner.id)));
        names.agents = rows.all(conn).await?.into_iter().map(|row| (row.id, row.name)).collect();
    }
    if !bots.is_empty() {
        let rows = bot::Entity::find()
            .filter(bot::Column::AccountId.eq(account))
            .filter(bot::Column::Id.is_in(bots.into_iter().map(|owner| owner.id)));
        names.bots = rows.all(conn).await?.into_iter().map(|row| (row.id, row.name)).collect();
    }
    Ok(names)
}
