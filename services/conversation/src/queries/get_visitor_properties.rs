//! What a flow may branch on: the visitor's language, and the properties of their contact (rule B6).

use std::collections::BTreeMap;

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::get_conversation::read_conversation;
use crate::{
    App,
    domain::ClosingFacts,
    error::ConversationError,
    store::{contacts, display_names, visitors},
};

/// What is known of a visitor.
pub(crate) struct VisitorProperties {
    /// BCP 47 tag. Empty: unknown.
    pub(crate) language: String,
    /// By name; the address, the name and the telephone number are among them.
    pub(crate) properties: BTreeMap<String, String>,
}

/// Returns what is known of the conversation's visitor. Of a contact whom they only claim to be, by its address, they get nothing
/// (rule X1).
pub(crate) async fn get_visitor_properties(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
) -> Result<VisitorProperties, ConversationError> {
    let read = app.db.read_for(caller.account).await?;
    let conn = read.conn();
    let conversation = read_conversation(&conn, caller.account, conversation).await?;
    let visitor = visitors::find(&conn, caller.account, &conversation.visitor_id).await?;
    let contact = match ClosingFacts::own_contact(&conversation, visitor.as_ref()) {
        Some(id) => contacts::find(&conn, caller.account, id).await?,
        None => None,
    };
    let name = display_names::find_visitor(&conn, &conversation).await?;
    let (mut properties, mut language) = (BTreeMap::new(), conversation.context.language);
    let mut known = vec![("name", name)];
    if let Some(contact) = contact {
        properties = contact.properties;
        known.push(("phone", contact.phone));
        known.extend(contact.emails.into_iter().next().map(|email| ("email", email.address)));
        if !contact.language.is_empty() {
            language = contact.language;
        }
    }
    let known = known.into_iter().filter(|(_, value)| !value.is_empty());
    properties.extend(known.map(|(name, value)| (name.to_owned(), value)));
    Ok(VisitorProperties { language, properties })
}
