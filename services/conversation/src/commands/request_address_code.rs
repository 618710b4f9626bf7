//! The visitor asks for a code, which is mailed to an address that they typed in the chat (rules X1, S4).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use crate::{App, error::ConversationError, notification, queries::read_chat, store::entries};

pub(crate) struct RequestAddressCode {
    pub(crate) chat: Uuid,
    /// In its canonical spelling.
    pub(crate) email: String,
    pub(crate) request_id: String,
    pub(crate) key: Key,
}

pub(crate) async fn request_address_code(
    app: &App,
    caller: &Caller,
    command: RequestAddressCode,
) -> Result<(), ConversationError> {
    let RequestAddressCode { chat, email, request_id, key } = command;
    let Some(language) = needs_code(app, caller, chat, &email, &key).await? else { return Ok(()) };
    // A repeat that comes this far, because no result was stored, mails nothing again: the notification service knows the request id too.
    notification::mail_address_code(app, caller, chat, &email, &language, &request_id).await?;
    let tx = app.db.begin_for(caller.account).await?;
    if key.claim::<()>(&tx).await?.is_none() {
        key.store_result(&tx, &()).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Returns the language of the chat. None: a repeat. What the visitor typed is looked up in the thread alone: an answer that depends on
/// whether a contact has the address would tell them whose addresses the team knows.
async fn needs_code(
    app: &App,
    caller: &Caller,
    chat: Uuid,
    email: &str,
    key: &Key,
) -> Result<Option<String>, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conn = read.conn();
    let conversation = read_chat(&conn, caller, chat).await?;
    if key.find::<()>(&conn).await?.is_some() {
        return Ok(None);
    }
    let newest = entries::list_newest_of_visitor(&conn, caller.account, chat).await?;
    let typed = newest.iter().any(|entry| entry.typed_address().as_deref() == Some(email));
    if typed { Ok(Some(conversation.context.language)) } else { Err(ConversationError::AddressNotTyped) }
}
