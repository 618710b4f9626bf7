//! An agent says which contact the visitor of a conversation is (rule X1), which verifies the link.

use frontdesk_auth::Caller;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, link_visitor, mention_agent, require_active_agent};
use crate::{
    App,
    domain::{Actor, Conversation, VisitorLink},
    error::ConversationError,
    store::contacts,
};

pub(crate) struct LinkContact {
    pub(crate) conversation: Uuid,
    pub(crate) contact: Uuid,
    pub(crate) agent: Uuid,
}

pub(crate) async fn link_contact(
    app: &App,
    caller: &Caller,
    command: LinkContact,
) -> Result<Conversation, ConversationError> {
    let LinkContact { conversation, contact, agent } = command;
    require_active_agent(app, caller, agent).await?;
    let mut begun = match ConversationChange::begin(app, caller, conversation, None).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, ()) => return Ok(begun.conversation),
    };
    if contacts::find(begun.tx.conn(), caller.account, contact).await?.is_none() {
        return Err(ConversationError::NotFound("contact"));
    }
    mention_agent(&begun.tx, caller.account, agent, caller.name.as_deref().unwrap_or_default()).await?;
    let visitor = begun.conversation.visitor_id.clone();
    link_visitor(&begun.tx, caller.account, &visitor, (contact, VisitorLink::Verified), None).await?;
    begun.conversation.link_contact(contact, Actor::agent(agent), begun.now);
    begun.finish(Ok(())).await
}
