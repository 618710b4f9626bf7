//! Appends a message through the message writer.

use frontdesk_auth::Caller;
use frontdesk_db::AccountId;
use sea_orm::{ConnectionTrait, DbErr};

use super::{find_entry, reject};
use crate::{
    App,
    domain::{ActorKind, Entry},
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
        Ok(WriteOutcome::Appended(entry, names)) if entry.author.kind != ActorKind::Admin => Ok((*entry, names)),
        // The message writer has no administrators.
        Ok(WriteOutcome::Appended(entry, _)) => {
            let read = app.db.read_for(caller.account).await?;
            Ok(named(&read.conn(), account, *entry).await?)
        }
        Ok(WriteOutcome::Duplicate { sequence }) => {
            let read = app.db.read_for(caller.account).await?;
            let entry = find_entry(&read.conn(), account, conversation, sequence).await?;
            Ok(named(&read.conn(), account, entry).await?)
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

async fn named<C: ConnectionTrait>(conn: &C, account: AccountId, entry: Entry) -> Result<(Entry, DisplayNames), DbErr> {
    let names = display_names::find_in_entries(conn, account, std::slice::from_ref(&entry)).await?;
    Ok((entry, names))
}
