//! The agent who looks after a contact: on the roster and active when they are chosen, and known to routing.

use frontdesk_auth::Caller;
use frontdesk_db::{AccountId, Tx};
use sea_orm::DbErr;
use uuid::Uuid;

use super::roster::require_known_agent;
use crate::{
    App,
    domain::Agent,
    error::ConversationError,
    store::{agents, contacts},
};

/// Requires that the new owner, if one is chosen, is on the roster.
pub(crate) async fn require_known_owner(
    app: &App,
    caller: &Caller,
    owner: Option<Option<Uuid>>,
) -> Result<(), ConversationError> {
    let Some(agent) = owner.flatten() else { return Ok(()) };
    require_known_agent(app, caller, agent).await.map_err(|error| match error {
        ConversationError::Rejected(_) => ConversationError::ContactOwner { agent, name: String::new() },
        error => error,
    })
}

/// Requires that the owner is active, by the local copy, unless the contact has them already.
pub(crate) async fn require_active_owner(
    tx: &Tx,
    caller: &Caller,
    before: Option<Uuid>,
    after: Option<Uuid>,
) -> Result<(), ConversationError> {
    let Some(id) = after.filter(|_| after != before) else { return Ok(()) };
    let agent = agents::find(tx.conn(), caller.account, id).await?;
    if Agent::require_active(agent.as_ref()).is_err() {
        let name = agent.map(|agent| agent.name).unwrap_or_default();
        return Err(ConversationError::ContactOwner { agent: id, name });
    }
    Ok(())
}

/// The owner of the contact of a conversation, for routing (rule A4). None: nobody owns it, or the visitor is unknown.
pub(crate) async fn find_contact_owner(
    tx: &Tx,
    account: AccountId,
    contact: Option<Uuid>,
) -> Result<Option<Uuid>, DbErr> {
    let Some(contact) = contact else { return Ok(None) };
    Ok(contacts::find(tx.conn(), account, contact).await?.and_then(|contact| contact.owner))
}
