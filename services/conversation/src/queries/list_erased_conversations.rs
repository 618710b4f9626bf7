//! What the job of an erasure is about, for the services that erase their part (rule X2).

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    error::ConversationError,
    store::{contact_jobs, merged_contacts},
};

/// Maximum number of conversations on a page.
const MAX_CONVERSATIONS: usize = 500;

/// A page of the conversations of a job.
pub(crate) struct ErasedConversations {
    /// The contact, and those that were merged into it.
    pub(crate) contacts: Vec<Uuid>,
    pub(crate) conversations: Vec<Uuid>,
    pub(crate) has_more: bool,
}

/// `after`: the last conversation of the page before.
pub(crate) async fn list_erased_conversations(
    app: &App,
    caller: &Caller,
    job: Uuid,
    after: Option<Uuid>,
) -> Result<ErasedConversations, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let job = contact_jobs::find(&read.conn(), caller.account, job).await?;
    let job = job.ok_or(ConversationError::NotFound("contact job"))?;
    let mut contacts = merged_contacts::list_source_ids(&read.conn(), job.account, job.contact_id).await?;
    contacts.push(job.contact_id);
    let limit = MAX_CONVERSATIONS as u64 + 1;
    let mut conversations = contact_jobs::list_conversations(&read.conn(), &job, after, limit).await?;
    let has_more = conversations.len() > MAX_CONVERSATIONS;
    conversations.truncate(MAX_CONVERSATIONS);
    Ok(ErasedConversations { contacts, conversations, has_more })
}
