//! Somebody writes in a conversation (rule C13). Nothing is stored.

use std::time::Duration;

use frontdesk_auth::Caller;
use frontdesk_db::AccountId;
use moka::future::Cache;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::steps::require_known_author;
use crate::{
    App,
    domain::{Agent, Author, Conversation, Signal, TeamMember},
    error::ConversationError,
    queries::read_chat,
    store::{administrators, agents, conversations, display_names},
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

/// The team writes a message or a comment.
pub(crate) async fn signal_team_typing(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    by: TeamMember,
    comment: bool,
) -> Result<(), ConversationError> {
    if !is_due(app, caller, conversation, comment).await {
        return Ok(());
    }
    require_known_author(app, caller).await?;
    let read = app.db.read_for(caller.account).await?;
    let found = conversations::find(&read.conn(), caller.account, conversation).await?;
    let found = found.ok_or(ConversationError::NotFound("conversation"))?;
    let author = team_author(&read.conn(), caller.account, by).await?;
    signal(app, caller, &found, author, comment).await;
    Ok(())
}

async fn team_author<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    by: TeamMember,
) -> Result<Author, ConversationError> {
    match by {
        TeamMember::Agent(id) => {
            let known = agents::find(conn, account, id).await?;
            Agent::require_active(known.as_ref()).map_err(ConversationError::rejected)?;
            Ok(Author::Agent { id, name: known.map(|agent| agent.name).unwrap_or_default() })
        }
        TeamMember::Admin(id) => {
            let known = administrators::find_many(conn, account, [id.as_str()].into()).await?.remove(&id);
            let (author_id, name) = known.map(|one| (one.author_id, one.name)).unwrap_or_default();
            Ok(Author::Admin { id, author_id, name })
        }
    }
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
