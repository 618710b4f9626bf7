//! The visitors of a contact that is being erased are no visitors of it any more (rule X2): the step that an erasure begins with, and that a
//! worker repeats where the contact has more visitors than one transaction locks.

use frontdesk_db::Tx;
use sea_orm::DbErr;

use crate::{
    App,
    domain::ContactJob,
    store::{closing_facts, contact_jobs, conversations, identity_locks, visitors},
};

/// Maximum number of visitors that one transaction unlinks: each is locked, which takes shared memory of PostgreSQL.
const MAX_VISITORS: u64 = 200;
/// Maximum number of open conversations that one transaction closes. Others are closed when their turn comes.
const MAX_OPEN: u64 = 200;

/// Unlinks visitors, with their conversations ([`take_conversations`]). Returns false when the contact has none.
pub(crate) async fn unlink_visitors(app: &App, tx: &mut Tx, job: &ContactJob) -> Result<bool, DbErr> {
    let linked = visitors::list_ids_of_contact(tx, job.account, job.contact_id, MAX_VISITORS).await?;
    if linked.is_empty() {
        return Ok(false);
    }
    identity_locks::lock_visitors(tx, job.account, linked.iter().map(String::as_str)).await?;
    visitors::unlink(tx, job.account, job.contact_id, &linked).await?;
    take_conversations(app, tx, job).await?;
    Ok(true)
}

/// Adds the contact's conversations to those of the job, and closes those that are open. A transaction that gives the contact another
/// conversation has one of its visitors locked, so none is missed.
pub(crate) async fn take_conversations(app: &App, tx: &mut Tx, job: &ContactJob) -> Result<(), DbErr> {
    contact_jobs::add_conversations(tx, job.id, job.account, job.contact_id).await?;
    let mut open = conversations::list_open_of_contact_for_update(tx, job.account, job.contact_id, MAX_OPEN).await?;
    if open.is_empty() {
        return Ok(());
    }
    let mut facts = closing_facts::find_many(tx.conn(), &open.iter().collect::<Vec<_>>()).await?;
    // Read after the lock.
    let (now, author) = (tx.now().await?, job.author());
    for conversation in &mut open {
        let facts = facts.remove(&(conversation.account, conversation.id)).unwrap_or_default();
        conversation.close_for_erasure(&author, facts, now);
    }
    conversations::save_all(tx, &app.notifier, &mut open).await
}
