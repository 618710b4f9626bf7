//! Appends a message through the message writer.

use frontdesk_auth::Caller;

use super::{find_entry, reject};
use crate::{
    App,
    domain::Entry,
    error::ConversationError,
    store::display_names::{self, DisplayNames},
    workers::{WriteError, WriteOutcome, WriteRequest},
};

/// Appends the message in the next batch. Returns its entry and the names in it; for a repeat those of the first request.
/// `kind`: what the caller calls a conversation.
pub(crate) async fn append_message(
    app: &App,
    caller: &Caller,
    kind: &'static str,
    request: WriteRequest,
) -> Result<(Entry, DisplayNames), ConversationError> {
    let (account, conversation) = (request.account, request.conversation);
    match app.message_queue.write(request).await {
        Ok(WriteOutcome::Appended(entry, names)) => Ok((*entry, names)),
        Ok(WriteOutcome::Duplicate { sequence }) => {
            let read = app.db.read_for(caller.account).await?;
            let entry = find_entry(&read.conn(), account, conversation, sequence).await?;
            let entries = std::slice::from_ref(&entry);
            let names = display_names::find_in_entries(&read.conn(), account, entries).await?;
            Ok((entry, names))
        }
        Err(WriteError::NotFound) => Err(ConversationError::NotFound(kind)),
        Err(WriteError::RequestIdReused) => Err(ConversationError::RequestIdReused),
        Err(WriteError::Rejected(rejection, conversation)) => {
            let read = app.db.read_for(caller.account).await?;
            Err(reject(&read.conn(), *conversation, rejection).await)
        }
        Err(WriteError::Locked) => Err(ConversationError::Locked),
        Err(WriteError::ConnectionLost) => Err(ConversationError::DatabaseLost),
        Err(WriteError::Db(error)) => Err(error.into()),
    }
}
