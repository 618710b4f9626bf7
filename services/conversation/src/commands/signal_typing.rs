//! Somebody writes in a conversation (rule C13). Nothing is stored.

use std::time::Duration;

use frontdesk_auth::Caller;
use moka::future::Cache;
use uuid::Uuid;

use super::steps::require_known_agent;
use crate::{
    App,
    domain::{Agent, Author, Conversation, Signal},
    error::ConversationError,
    queries::read_chat,
    store::{agents, conversations, display_names},
};

/// Interval after a signal of a person about a conversation in which another one has no effect.
const MIN_INTERVAL: Duration = Duration::from_secs(2);
/// Maximum number of people whose last signal is remembered.
const CAPACITY: u64 = 100_000;

/// Who has signalled lately, in which conversation, and whether for a comment.
#[derive(Clone)]
pub(crate) struct RecentSignals(Cache<(Uuid, String, bool), ()>);

impl Default for RecentSignals {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(CAPACITY).time_to_live(MIN_INTERVAL).build())
    }
}

/// A visitor writes in their chat.
pub(crate) async fn signal_visitor_typing(app: &App, caller: &Caller, chat: Uuid) -> Result<(), ConversationError> {
    if !is_due(app, caller, chat, false).await {
        return Ok(());
    }
    let read = app.db.read_for(caller.account).await?;
    let own = read_chat(&read.conn(), caller, chat).await?;
    let names = display_names::find(&read.conn(), &own, &[]).await?;
    let author = Author::Visitor { id: own.visitor_id.clone(), name: names.visitor(chat) };
    signal(app, caller, &own, author, false).await;
    Ok(())
}

/// An agent writes a message or a comment.
pub(crate) async fn signal_agent_typing(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    agent: Uuid,
    comment: bool,
) -> Result<(), ConversationError> {
    if !is_due(app, caller, conversation, comment).await {
        return Ok(());
    }
    require_known_agent(app, caller, agent).await?;
    let read = app.db.read_for(caller.account).await?;
    let found = conversations::find(&read.conn(), caller.account, conversation).await?;
    let found = found.ok_or(ConversationError::NotFound("conversation"))?;
    let known = agents::find(&read.conn(), caller.account, agent).await?;
    Agent::require_active(known.as_ref()).map_err(ConversationError::rejected)?;
    let author = Author::Agent { id: agent, name: known.map(|agent| agent.name).unwrap_or_default() };
    signal(app, caller, &found, author, comment).await;
    Ok(())
}

async fn is_due(app: &App, caller: &Caller, conversation: Uuid, comment: bool) -> bool {
    app.recent_signals.0.get(&(conversation, caller.actor.to_string(), comment)).await.is_none()
}

async fn signal(app: &App, caller: &Caller, conversation: &Conversation, author: Author, comment: bool) {
    if conversation.is_open() {
        app.recent_signals.0.insert((conversation.id, caller.actor.to_string(), comment), ()).await;
        app.signal(conversation.id, &Signal::Typing { author, comment });
    }
}
