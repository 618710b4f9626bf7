//! The language of a conversation's start is that of its contact, until they have another one (rule X2).

use frontdesk_clock::Time;
use frontdesk_db::Tx;

use crate::{
    domain::{ClosingFacts, Conversation},
    error::ConversationError,
    store::{contacts, visitors},
};

/// Gives the contact the language of the conversation, if they have none. A contact whom the visitor only claims to be is not theirs
/// to change (rule X1). Locks the contact, so everything that is locked before contacts is locked.
pub(crate) async fn give_language(
    tx: &mut Tx,
    conversation: &Conversation,
    now: Time,
) -> Result<(), ConversationError> {
    let (account, language) = (conversation.account, &conversation.context.language);
    if language.is_empty() || conversation.contact_id.is_none() {
        return Ok(());
    }
    let visitor = visitors::find(tx.conn(), account, &conversation.visitor_id).await?;
    let Some(own) = ClosingFacts::own_contact(conversation, visitor.as_ref()) else { return Ok(()) };
    let Some(mut contact) = contacts::find_for_update(tx, account, own).await? else { return Ok(()) };
    if !contact.language.is_empty() {
        return Ok(());
    }
    contact.language.clone_from(language);
    match contacts::save(tx, &mut contact, now).await? {
        Some(taken) => Err(ConversationError::Taken(taken)),
        None => Ok(()),
    }
}
