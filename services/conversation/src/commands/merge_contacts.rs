//! The team merges a contact into another one (rules X2, X2a).

use std::collections::BTreeSet;

use frontdesk_auth::Caller;
use frontdesk_db::{AccountId, Tx, is_conflict};
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{require_active_caller, require_known_caller};
use crate::{
    App,
    domain::{Contact, Conversation, MergeLimit, MergedContact},
    error::ConversationError,
    queries::missing_contact,
    store::{contacts, conversations, identity_locks, merged_contacts, tickets, visitors},
};

/// Maximum number of attempts to lock everything of a contact before its visitors change.
const MAX_ATTEMPTS: usize = 3;

pub(crate) struct MergeContacts {
    pub(crate) source: Uuid,
    pub(crate) source_etag: String,
    pub(crate) target: Uuid,
    pub(crate) target_etag: String,
    pub(crate) key: Key,
}

/// Returns the contact that is left, and what is kept of the other one.
pub(crate) async fn merge_contacts(
    app: &App,
    caller: &Caller,
    command: MergeContacts,
) -> Result<(Contact, MergedContact), ConversationError> {
    require_known_caller(app, caller).await?;
    for _ in 0..MAX_ATTEMPTS {
        match try_merge(app, caller, &command).await {
            Ok(Some(merged)) => return Ok(merged),
            Ok(None) => {}
            Err(ConversationError::Db(error)) if is_conflict(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(ConversationError::Locked)
}

/// None: the contacts changed before everything of them was locked.
async fn try_merge(
    app: &App,
    caller: &Caller,
    command: &MergeContacts,
) -> Result<Option<(Contact, MergedContact)>, ConversationError> {
    let account = caller.account;
    let mut tx = app.db.begin_for(account).await?;
    if let Some(source) = command.key.claim::<Uuid>(&tx).await? {
        return find_result(&tx, account, source).await.map(Some);
    }

    require_active_caller(&tx, caller).await?;
    let both = find_both(&tx, account, command).await?;
    let locked = lock(&tx, &both.0, both.1.id).await?;
    // Transactions that had locked them before may have changed them, or linked another visitor.
    let is_current = find_both(&tx, account, command).await? == both
        && find_visitors(&tx, &both.0).await?.is_subset(&locked.visitors);
    if !is_current {
        return Ok(None);
    }
    let ((source, target), now) = (both, tx.now().await?);
    let (target, merged) = target.merged_with(&source, now).map_err(ConversationError::MergeTooLarge)?;
    let contact = save(app, &mut tx, source, target, &merged, locked.conversations).await?;
    command.key.store_result(&tx, &merged.source_id).await?;
    tx.commit().await?;
    Ok(Some((contact, merged)))
}

async fn find_result(tx: &Tx, account: AccountId, source: Uuid) -> Result<(Contact, MergedContact), ConversationError> {
    let merged = merged_contacts::find(tx.conn(), account, source).await?;
    let merged = merged.ok_or(ConversationError::NotFound("contact"))?;
    let contact = contacts::find(tx.conn(), account, merged.target_id).await?;
    Ok((contact.ok_or(ConversationError::NotFound("contact"))?, merged))
}

/// The source and the target, as the caller read them. The target may be named by the id of a contact that was merged into it; the
/// source may not: who merges it did not know that it is another contact now.
async fn find_both(
    tx: &Tx,
    account: AccountId,
    command: &MergeContacts,
) -> Result<(Contact, Contact), ConversationError> {
    let source = find(tx, account, command.source).await?;
    let target = find(tx, account, command.target).await?;
    if source.id != command.source || source.id == target.id {
        return Err(ConversationError::ContactMerged { contact: source.id });
    }
    if source.etag() != command.source_etag || target.etag() != command.target_etag {
        return Err(ConversationError::EtagMismatch("contact"));
    }
    Ok((source, target))
}

async fn find(tx: &Tx, account: AccountId, id: Uuid) -> Result<Contact, ConversationError> {
    match contacts::find(tx.conn(), account, id).await? {
        Some(contact) => Ok(contact),
        None => Err(missing_contact(tx.conn(), account, id).await?),
    }
}

/// What is locked with the contacts.
struct Locked {
    /// Ids of the source's visitors.
    visitors: BTreeSet<String>,
    /// The source's conversations. Only who has locked one of the visitors, or the source, gives it another one.
    conversations: Vec<Conversation>,
}

/// Locks what the merge changes, in the order of all who decide which contact a visitor is: the source's addresses and visitors, its
/// conversations, both contacts.
async fn lock(tx: &Tx, source: &Contact, target: Uuid) -> Result<Locked, ConversationError> {
    let addresses: Vec<_> = source.emails.iter().map(|email| email.address.clone()).collect();
    identity_locks::lock_addresses(tx, source.account, &addresses).await?;
    let visitors = find_visitors(tx, source).await?;
    MergeLimit::Visitors.check(visitors.len()).map_err(ConversationError::MergeTooLarge)?;
    identity_locks::lock_visitors(tx, source.account, visitors.iter().map(String::as_str)).await?;
    let limit = one_more_than(MergeLimit::Conversations);
    let conversations = conversations::list_all_of_contact_for_update(tx, source.account, source.id, limit).await?;
    MergeLimit::Conversations.check(conversations.len()).map_err(ConversationError::MergeTooLarge)?;
    contacts::lock(tx, source.account, &BTreeSet::from([source.id, target])).await?;
    Ok(Locked { visitors, conversations })
}

async fn find_visitors(tx: &Tx, source: &Contact) -> Result<BTreeSet<String>, ConversationError> {
    let limit = one_more_than(MergeLimit::Visitors);
    Ok(visitors::list_ids_of_contact(tx, source.account, source.id, limit).await?)
}

/// Moves everything of the source to the target. Returns the target.
async fn save(
    app: &App,
    tx: &mut Tx,
    source: Contact,
    mut target: Contact,
    merged: &MergedContact,
    mut conversations: Vec<Conversation>,
) -> Result<Contact, ConversationError> {
    let (account, from, to, now) = (source.account, source.id, target.id, merged.merged_at);
    contacts::merge(tx, source, merged).await?;
    if let Some(taken) = contacts::save(tx, &mut target, now).await? {
        return Err(ConversationError::Taken(taken));
    }
    visitors::move_to_contact(tx, account, from, to).await?;
    conversations.iter_mut().for_each(|conversation| conversation.move_to_contact(to));
    conversations::save_all(tx, &app.notifier, &mut conversations).await?;
    let limit = one_more_than(MergeLimit::Tickets);
    let tickets = tickets::list_of_contact_for_update(tx, account, from, limit).await?;
    MergeLimit::Tickets.check(tickets.len()).map_err(ConversationError::MergeTooLarge)?;
    for ticket in tickets {
        tickets::save(tx, &mut ticket.moved_to(to), now).await?;
    }
    Ok(target)
}

/// How many rows to read to see whether there are too many.
fn one_more_than(limit: MergeLimit) -> u64 {
    limit.max() as u64 + 1
}
