//! Locks what a change of who is who may touch, before it is decided (rule X1): addresses, visitors, conversations and contacts,
//! in this order.

use std::collections::BTreeSet;

use frontdesk_db::{AccountId, Tx};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    domain::Visitor,
    store::{
        contacts::{self, AddressOwner},
        conversations, identity_locks, visitors,
    },
};

/// What the change is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identities<'a> {
    pub(crate) account: AccountId,
    /// In their canonical spelling.
    pub(crate) addresses: &'a [String],
    /// None: the team changes a contact.
    pub(crate) visitor: Option<&'a str>,
    /// Another visitor, whose chats become those of `visitor`.
    pub(crate) joined: Option<&'a str>,
    pub(crate) chat: Option<Uuid>,
    /// The contact that the team changes or chooses.
    pub(crate) contact: Option<Uuid>,
}

/// What is known once addresses and visitors are locked.
pub(crate) struct LockedIdentities {
    /// The contacts that have the addresses.
    pub(crate) owners: Vec<AddressOwner>,
    /// The visitor of the change.
    pub(crate) visitor: Option<Visitor>,
    /// Ids of the visitor, and of those who typed one of the addresses.
    visitors: BTreeSet<String>,
}

impl Identities<'_> {
    /// Locks addresses and visitors.
    pub(crate) async fn lock(self, tx: &Tx) -> Result<LockedIdentities, DbErr> {
        identity_locks::lock_addresses(tx, self.account, self.addresses).await?;
        let owners = match self.addresses {
            [] => Vec::new(),
            addresses => contacts::find_owners(tx.conn(), self.account, addresses).await?,
        };
        let typed = owners.iter().filter(|owner| !owner.verified).map(|owner| owner.contact_id).collect();
        let typed = visitors::list_of_own_contacts(tx.conn(), self.account, &typed).await?;
        let mut ids: BTreeSet<String> = typed.into_iter().map(|visitor| visitor.id).collect();
        ids.extend(self.visitor.into_iter().chain(self.joined).map(str::to_owned));
        identity_locks::lock_visitors(tx, self.account, ids.iter().map(String::as_str)).await?;
        let visitor = match self.visitor {
            Some(id) => visitors::find(tx.conn(), self.account, id).await?,
            None => None,
        };
        Ok(LockedIdentities { owners, visitor, visitors: ids })
    }

    /// Locks the conversations of these visitors and the contacts too, before the visitor or the contact changes.
    pub(crate) async fn lock_rows(self, tx: &Tx, locked: &LockedIdentities) -> Result<(), DbErr> {
        let ids: BTreeSet<&str> = locked.visitors.iter().map(String::as_str).collect();
        let mut contacts = BTreeSet::new();
        if !ids.is_empty() {
            let keys = ids.iter().map(|id| (self.account, *id));
            contacts = visitors::find_many(tx.conn(), keys).await?.into_values().map(|one| one.contact_id).collect();
            conversations::lock_of_visitors(tx, self.account, &ids, &contacts, self.chat, self.joined).await?;
        }
        contacts.extend(locked.owners.iter().map(|owner| owner.contact_id));
        contacts.extend(self.contact);
        contacts::lock(tx, self.account, &contacts).await
    }
}

/// Locks what changes when the team gives these addresses to the contact, or takes them from it. None: a new contact.
pub(crate) async fn lock_addresses(
    tx: &Tx,
    account: AccountId,
    addresses: &[String],
    contact: Option<Uuid>,
) -> Result<(), DbErr> {
    let identities = Identities { account, addresses, visitor: None, joined: None, chat: None, contact };
    let locked = identities.lock(tx).await?;
    identities.lock_rows(tx, &locked).await
}
