//! The values that the placeholders of inserts have in a conversation (rule C6).

use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::{agents, channels, contacts, display_names, visitors};
use crate::domain::{Administrator, ClosingFacts, Conversation, PlaceholderValues};

/// The values for a member of the team. None as agent: the caller is none, or not known. `token_name`: the name in the caller's token.
///
/// The visitor will see the values. Of a contact whom they only claim to be, by its address, they get nothing (rule X1).
pub(crate) async fn find<C: ConnectionTrait>(
    conn: &C,
    conversation: &Conversation,
    agent: Option<Uuid>,
    token_name: Option<&str>,
) -> Result<PlaceholderValues, DbErr> {
    let account = conversation.account;
    let visitor = visitors::find(conn, account, &conversation.visitor_id).await?;
    let contact = match ClosingFacts::own_contact(conversation, visitor.as_ref()) {
        Some(id) => contacts::find(conn, account, id).await?,
        None => None,
    };
    let channel = channels::find(conn, account, conversation.channel_id).await?;
    let agent = match agent {
        Some(id) => agents::find(conn, account, id).await?,
        None => None,
    };
    let agent_name = agent.map(|agent| agent.name).filter(|name| !name.is_empty());
    let mut values = PlaceholderValues {
        contact_name: display_names::find_visitor(conn, conversation).await?,
        agent_name: agent_name.unwrap_or_else(|| Administrator::shown_name(token_name.unwrap_or_default().to_owned())),
        channel_name: channel.map(|channel| channel.name).unwrap_or_default(),
        ..PlaceholderValues::default()
    };
    if let Some(contact) = contact {
        values.contact_email = contact.emails.into_iter().next().map(|email| email.address).unwrap_or_default();
        values.contact_phone = contact.phone;
        values.contact_properties = contact.properties;
    }
    Ok(values)
}
