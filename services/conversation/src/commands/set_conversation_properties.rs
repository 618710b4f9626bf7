//! The team sets properties of a conversation (rules C8, C12).

use std::collections::BTreeMap;

use frontdesk_api::FieldError;
use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, require_active_caller, require_known_caller};
use crate::{App, domain::Conversation, error::ConversationError};

pub(crate) struct SetConversationProperties {
    pub(crate) conversation: Uuid,
    /// By name. Empty text: the property is removed.
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) key: Key,
}

pub(crate) async fn set_conversation_properties(
    app: &App,
    caller: &Caller,
    command: SetConversationProperties,
) -> Result<Conversation, ConversationError> {
    require_known_caller(app, caller).await?;
    let mut begun = match ConversationChange::begin(app, caller, command.conversation, Some(command.key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, ()) => return Ok(begun.conversation),
    };
    require_active_caller(&begun.tx, caller).await?;
    begun.conversation.require_not_erased().map_err(ConversationError::rejected)?;
    if !begun.conversation.set_properties(command.properties) {
        let remedy = "must leave the conversation with at most 50 properties, and 4 KiB of names and values";
        return Err(ConversationError::Fields(vec![FieldError::new("properties", remedy)]));
    }
    begun.finish(Ok(())).await
}
