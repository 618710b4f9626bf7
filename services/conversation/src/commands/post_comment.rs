//! The team posts a comment (rules C7, C11, C12).

use std::collections::BTreeSet;

use frontdesk_auth::Caller;
use frontdesk_db::Tx;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{
    Begun, ConversationChange, find_entry, mention_caller, require_active_caller, require_known_agent,
    require_known_author,
};
use crate::{
    App,
    domain::{Agent, Entry, Mention, TeamMember},
    error::ConversationError,
    store::agents,
};

pub(crate) struct PostComment {
    pub(crate) conversation: Uuid,
    pub(crate) author: TeamMember,
    pub(crate) text: String,
    /// Within the text, in its order, and without overlaps.
    pub(crate) mentions: Vec<Mention>,
    pub(crate) request_id: String,
    pub(crate) key: Key,
}

pub(crate) async fn post_comment(app: &App, caller: &Caller, command: PostComment) -> Result<Entry, ConversationError> {
    require_known_author(app, caller).await?;
    let mentioned: BTreeSet<Uuid> = command.mentions.iter().map(|mention| mention.agent_id).collect();
    for agent in &mentioned {
        require_known_agent(app, caller, *agent).await.map_err(|error| match error {
            ConversationError::Rejected(_) => ConversationError::MentionedAgent { agent: *agent, name: String::new() },
            error => error,
        })?;
    }
    let mut begun = match ConversationChange::begin(app, caller, command.conversation, Some(command.key)).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, sequence) => {
            return find_entry(begun.tx.conn(), caller.account, command.conversation, sequence).await;
        }
    };
    require_active_caller(&begun.tx, caller).await?;
    require_mentionable(&begun.tx, caller, &mentioned).await?;
    mention_caller(&begun.tx, caller).await?;
    let PostComment { author, text, mentions, request_id, .. } = command;
    let entry = begun.conversation.append_comment(&author, text, mentions, request_id, begun.now);
    begun.commit(&entry.sequence).await?;
    Ok(entry)
}

/// Requires that the agents are active, by the local copy.
async fn require_mentionable(tx: &Tx, caller: &Caller, mentioned: &BTreeSet<Uuid>) -> Result<(), ConversationError> {
    let agents = agents::find_many(tx.conn(), caller.account, mentioned).await?;
    for id in mentioned {
        let agent = agents.get(id);
        if Agent::require_active(agent).is_err() {
            let name = agent.map(|agent| agent.name.clone()).unwrap_or_default();
            return Err(ConversationError::MentionedAgent { agent: *id, name });
        }
    }
    Ok(())
}
