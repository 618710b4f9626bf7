//! An agent says which contact the visitor of a conversation is (rule X1): their word counts as proof.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::contact_of_visitor;
use crate::{
    App,
    domain::{Author, AuthorKind, Conversation, Link},
    error::ConversationError,
    store::{contacts, conversations, names},
};

pub(crate) async fn link_contact(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    contact: Uuid,
    agent: Uuid,
) -> Result<Conversation, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let conversation = conversations::find_for_update(&tx, caller.account, conversation).await?;
    let mut conversation = conversation.ok_or(ConversationError::NotFound("conversation"))?;
    if contacts::find(tx.conn(), caller.account, contact).await?.is_none() {
        return Err(ConversationError::NotFound("contact"));
    }

    names::mention_agent(&tx, caller.account, agent, caller.name.as_deref().unwrap_or_default()).await?;
    let visitor = conversation.row.visitor_id.clone();
    contact_of_visitor::link(&mut tx, caller.account, &visitor, contact, Link::Own, None).await?;
    let now = tx.now().await?;
    contact_of_visitor::belongs_to(&mut conversation, contact, Author::new(AuthorKind::Agent, agent), now);
    conversations::save(&mut tx, &app.hints, &mut conversation).await?;
    tx.commit().await?;
    Ok(conversation)
}
