//! An administrator has a contact erased (rule X2). The transaction makes the contact disappear and fences what could still write about it;
//! the job goes on in `workers/contact_jobs.rs`.

use frontdesk_auth::Caller;
use frontdesk_db::{is_conflict, is_unique_violation};
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{require_known_author, take_conversations, unlink_visitors};
use crate::{
    App,
    domain::ContactJob,
    error::ConversationError,
    queries::missing_contact,
    store::{contact_jobs, contacts, identity_locks},
};

/// Maximum number of attempts to lock a contact that others are changing.
const MAX_ATTEMPTS: usize = 3;

pub(crate) struct EraseContact {
    pub(crate) contact: Uuid,
    pub(crate) key: Key,
}

/// Returns the job of the erasure; for a contact whose erasure was requested before, that one's.
pub(crate) async fn erase_contact(
    app: &App,
    caller: &Caller,
    command: EraseContact,
) -> Result<ContactJob, ConversationError> {
    require_known_author(app, caller).await?;
    for _ in 0..MAX_ATTEMPTS {
        match try_erase(app, caller, &command).await {
            Ok(Some(job)) => return Ok(job),
            Ok(None) => {}
            // Another call began the erasure meanwhile: the next attempt finds its job.
            Err(ConversationError::Db(error)) if is_conflict(&error) || is_unique_violation(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(ConversationError::Locked)
}

/// None: the contact changed before everything of it was locked.
async fn try_erase(
    app: &App,
    caller: &Caller,
    command: &EraseContact,
) -> Result<Option<ContactJob>, ConversationError> {
    let account = caller.account;
    let mut tx = app.db.begin_for(account).await?;
    if let Some(id) = command.key.claim::<Uuid>(&tx).await? {
        let job = contact_jobs::find(tx.conn(), account, id).await?;
        return job.map(Some).ok_or(ConversationError::NotFound("contact job"));
    }
    let Some(contact) = contacts::find(tx.conn(), account, command.contact).await? else {
        let id = contacts::resolve(tx.conn(), account, command.contact).await?;
        let Some(job) = contact_jobs::find_erasure(tx.conn(), account, id).await? else {
            return Err(missing_contact(tx.conn(), account, command.contact).await?);
        };
        command.key.store_result(&tx, &job.id).await?;
        tx.commit().await?;
        return Ok(Some(job));
    };

    // In the order of all who decide which contact a visitor is: addresses, visitors, conversations, the contact.
    let addresses: Vec<_> = contact.emails.iter().map(|email| email.address.clone()).collect();
    identity_locks::lock_addresses(&tx, account, &addresses).await?;
    let mut job = ContactJob::erasure(tx.new_id(), account, contact.id, &caller.actor.id, tx.now().await?);
    if !unlink_visitors(app, &mut tx, &job).await? {
        take_conversations(app, &mut tx, &job).await?;
    }
    let locked = contacts::find_for_update(&tx, account, contact.id).await?;
    let Some(mut contact) = locked.filter(|locked| *locked == contact) else { return Ok(None) };
    let now = tx.now().await?;
    (job.created_at, job.due_at) = (now, Some(now));
    contact_jobs::insert(&tx, &job).await?;
    contacts::erase(&mut tx, &mut contact).await?;
    command.key.store_result(&tx, &job.id).await?;
    tx.on_commit(app.wake_contact_jobs());
    tx.commit().await?;
    Ok(Some(job))
}
