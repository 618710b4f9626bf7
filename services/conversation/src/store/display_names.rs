//! Names that are shown to people: of agents and bots from the local copies, of administrators from their tokens, of visitors from
//! their contacts, their tokens or their answers.

use std::collections::{HashMap, HashSet};

use frontdesk_db::AccountId;
use sea_orm::{DbErr, EntityTrait, entity::prelude::*};
use uuid::Uuid;

use super::{
    administrators,
    entity::{agent, bot, contact},
    visitors,
};
use crate::domain::{ActorKind, Administrator, ClosingFacts, Content, Conversation, Entry, Owner, OwnerKind};

/// Names by kind and id. An unknown name is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct DisplayNames {
    agents: HashMap<Uuid, String>,
    bots: HashMap<Uuid, String>,
    /// By subject.
    administrators: HashMap<String, Administrator>,
    /// By conversation.
    visitors: HashMap<Uuid, String>,
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

    /// Adds the name of an owner. None: it is unknown.
    pub(super) fn add_owner(&mut self, owner: Owner, name: Option<String>) {
        let names = match owner.kind {
            OwnerKind::Agent => &mut self.agents,
            OwnerKind::Bot => &mut self.bots,
        };
        names.extend(name.map(|name| (owner.id, name)));
    }

    pub(super) fn add_administrator(&mut self, administrator: Administrator) {
        self.administrators.insert(administrator.subject.clone(), administrator);
    }

    pub(super) fn add_visitor(&mut self, conversation: Uuid, name: String) {
        self.visitors.insert(conversation, name);
    }

    pub(crate) fn owner(&self, owner: Owner) -> String {
        let names = match owner.kind {
            OwnerKind::Agent => &self.agents,
            OwnerKind::Bot => &self.bots,
        };
        names.get(&owner.id).cloned().unwrap_or_default()
    }

    /// The name of the conversation's visitor.
    pub(crate) fn visitor(&self, conversation: Uuid) -> String {
        self.visitors.get(&conversation).cloned().unwrap_or_default()
    }

    /// The name of the entry's author.
    pub(crate) fn author(&self, entry: &Entry) -> String {
        match entry.author.kind {
            ActorKind::Visitor => self.visitor(entry.conversation_id),
            ActorKind::Admin => self.administrator(&entry.author.id).map(|one| one.name.clone()).unwrap_or_default(),
            ActorKind::Agent | ActorKind::Bot | ActorKind::System => {
                entry.author.as_owner().map(|owner| self.owner(owner)).unwrap_or_default()
            }
        }
    }

    /// The administrator with this subject, who is the author of an entry.
    pub(crate) fn administrator(&self, subject: &str) -> Option<&Administrator> {
        self.administrators.get(subject)
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
    names.administrators = find_administrators(conn, conversation.account, entries).await?;
    names.visitors = find_visitors(conn, &[conversation]).await?;
    Ok(names)
}

/// The names of the owners and visitors of these conversations of one account, and of everyone in these entries of them.
pub(crate) async fn find_in_conversations<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversations: &[Conversation],
    entries: &[Entry],
) -> Result<DisplayNames, DbErr> {
    let owners = conversations.iter().filter_map(|conversation| conversation.owner).chain(owners_in(entries));
    let mut names = find_owners(conn, account, owners).await?;
    names.administrators = find_administrators(conn, account, entries).await?;
    names.visitors = find_visitors(conn, &conversations.iter().collect::<Vec<_>>()).await?;
    Ok(names)
}

/// The names of the agents, bots and administrators in these entries.
pub(crate) async fn find_in_entries<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    entries: &[Entry],
) -> Result<DisplayNames, DbErr> {
    let mut names = find_owners(conn, account, owners_in(entries)).await?;
    names.administrators = find_administrators(conn, account, entries).await?;
    Ok(names)
}

/// The administrators who are authors of these entries.
async fn find_administrators<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    entries: &[Entry],
) -> Result<HashMap<String, Administrator>, DbErr> {
    let authors = entries.iter().map(|entry| &entry.author).filter(|author| author.kind == ActorKind::Admin);
    administrators::find_many(conn, account, authors.map(|author| author.id.as_str()).collect()).await
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

/// The name of the conversation's visitor.
pub(crate) async fn find_visitor<C: ConnectionTrait>(conn: &C, conversation: &Conversation) -> Result<String, DbErr> {
    let mut names = find_visitors(conn, &[conversation]).await?;
    Ok(names.remove(&conversation.id).unwrap_or_default())
}

/// The name of the conversation's visitor: that of their own contact, otherwise the one in their token or answer. Visitors who share a
/// contact, such as two people with one address, keep their own names. `own_name`: that of the visitor, if the conversation has a contact.
/// `contact_name`: that of the visitor's own contact.
pub(super) fn visitor_name(
    one: &Conversation,
    own_name: Option<&str>,
    contact_name: Option<&str>,
    is_shared: bool,
) -> String {
    let own = own_name.filter(|name| !name.is_empty()).unwrap_or(&one.visitor_name);
    let contact_name = contact_name.filter(|name| !name.is_empty() && (own.is_empty() || !is_shared));
    contact_name.unwrap_or(own).to_owned()
}

/// The names of the visitors, by conversation.
async fn find_visitors<C: ConnectionTrait>(
    conn: &C,
    conversations: &[&Conversation],
) -> Result<HashMap<Uuid, String>, DbErr> {
    let linked: Vec<_> = conversations.iter().filter(|conversation| conversation.contact_id.is_some()).collect();
    let (mut contacts, mut own_names) = (HashMap::new(), HashMap::new());
    if !linked.is_empty() {
        let visitors = linked.iter().map(|one| (one.account, one.visitor_id.as_str()));
        let visitors = visitors::find_many(conn, visitors).await?;
        for one in linked {
            let visitor = visitors.get(&(one.account, one.visitor_id.clone()));
            contacts.extend(ClosingFacts::own_contact(one, visitor).map(|contact| (one.id, (one.account, contact))));
            own_names.extend(visitor.map(|visitor| (one.id, visitor.name.clone())));
        }
    }
    let contact_names = find_contacts(conn, contacts.values().copied()).await?;
    let shared = visitors::find_shared_contacts(conn, contacts.values().copied()).await?;
    let name = |one: &&Conversation| {
        let contact = contacts.get(&one.id);
        let contact_name = contact.and_then(|contact| contact_names.get(contact)).map(String::as_str);
        let is_shared = contact.is_some_and(|contact| shared.contains(contact));
        let own_name = own_names.get(&one.id).map(String::as_str);
        (one.id, visitor_name(one, own_name, contact_name, is_shared))
    };
    Ok(conversations.iter().map(name).collect())
}

async fn find_contacts<C: ConnectionTrait>(
    conn: &C,
    contacts: impl Iterator<Item = (AccountId, Uuid)>,
) -> Result<HashMap<(AccountId, Uuid), String>, DbErr> {
    let (accounts, ids): (HashSet<_>, HashSet<_>) = contacts.unzip();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = contact::Entity::find()
        .filter(contact::Column::AccountId.is_in(accounts))
        .filter(contact::Column::Id.is_in(ids));
    Ok(rows.all(conn).await?.into_iter().map(|row| ((row.account_id, row.id), row.name)).collect())
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
