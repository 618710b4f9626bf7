//! Contacts, newest first.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use crate::{
    App,
    domain::{Contact, SearchQuery},
    error::ConversationError,
    store::{
        contacts::{self, ContactFilter},
        search,
    },
};

/// `after`: time and id of the last contact before.
pub(crate) async fn list_contacts(
    app: &App,
    caller: &Caller,
    filter: ContactFilter,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Contact>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    Ok(contacts::list(&read.conn(), caller.account, &filter, after, limit).await?)
}

/// Up to `limit` contacts that have the words of the query, the newest first by id, and the contact behind which the search goes on.
/// `after`: where it goes on.
pub(crate) async fn search_contacts(
    app: &App,
    caller: &Caller,
    query: &SearchQuery,
    filter: ContactFilter,
    after: Option<Uuid>,
    limit: u64,
) -> Result<(Vec<Contact>, Option<Uuid>), ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conn = read.conn();
    let found = search::find_contacts(&conn, caller.account, query, after).await?;
    let (mut ids, mut next, limit) = (found.matches, found.next, usize::try_from(limit).unwrap_or(usize::MAX));
    if ids.len() > limit {
        ids.truncate(limit);
        next = ids.last().copied();
    }
    Ok((contacts::list_of_ids(&conn, caller.account, &filter, ids).await?, next))
}
