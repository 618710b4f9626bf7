//! Mails agents who are mentioned, or given a conversation (rule N4).

use frontdesk_bus::{
    Consumer, Outcome,
    event::{account_id, uuid},
};
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    event::v1::{AssigneeChanged, CommentPosted, Event},
};
use prost::Name;
use uuid::Uuid;

use crate::{
    App,
    commands::{self, NotifyAgents},
    domain::Notice,
};

const NAME: &str = "notification.agents";

/// Consumes `CommentPosted` and `AssigneeChanged`.
pub(crate) struct NotifyOfConversations(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for NotifyOfConversations {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "conversation"
    }

    fn types(&self) -> Vec<String> {
        vec![CommentPosted::full_name(), AssigneeChanged::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        // Without an inbox to link to, agents are mailed nothing.
        if self.0.settings.inbox_url.is_empty() {
            return Outcome::Ack;
        }
        match notices(event) {
            Ok(None) => Outcome::Ack,
            Ok(Some(command)) => commands::notify_agents(&self.0, NAME, event, command).await.into(),
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }
}

/// None: it concerns only the one who did it, or no agent.
fn notices(event: &Event) -> Result<Option<NotifyAgents>, String> {
    uuid("id", &event.id)?;
    let (conversation, mut agents, by, notice) = if event.r#type == CommentPosted::full_name() {
        let posted: CommentPosted = frontdesk_bus::decode(event)?;
        let mentioned: Result<Vec<Uuid>, String> =
            posted.mentioned_agent_ids.iter().map(|id| uuid("mentioned_agent_ids", id)).collect();
        (posted.conversation_id, mentioned?, posted.author, Notice::Mention)
    } else {
        let changed: AssigneeChanged = frontdesk_bus::decode(event)?;
        let owner = changed.new_owner.as_ref().and_then(agent_of);
        (changed.conversation_id, owner.into_iter().collect(), changed.by, Notice::Assignment)
    };
    let by = by.as_ref().and_then(agent_of);
    agents.retain(|agent| Some(*agent) != by);
    // The rows of several agents are locked in one order.
    agents.sort_unstable();
    agents.dedup();
    if agents.is_empty() {
        return Ok(None);
    }
    let conversation = uuid("conversation_id", &conversation)?;
    Ok(Some(NotifyAgents { account: account_id(event)?, conversation, agents, notice }))
}

/// None: the actor is no agent.
fn agent_of(actor: &Actor) -> Option<Uuid> {
    if actor.kind() == ActorKind::Agent { actor.id.parse().ok() } else { None }
}
