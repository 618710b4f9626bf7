//! Assigns a conversation that a bot handed off to the agent whom the bot named (rule B8).

use frontdesk_auth::{Actor, CallerKind};
use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::{ConversationHandedOff, Event};
use prost::Name;
use uuid::Uuid;

use super::conversation_changes::hand_off_route;
use crate::{
    App, NAME,
    conversation::{self, ChangeAssignee},
    domain::{Agent, AssignmentCause, Route, Waiting},
    error::AssignmentError,
    store::{self, conversation_owners, routing_accounts, routing_queue},
};

/// Asks the conversation service for the change of owner, as the service itself. A conversation that got another owner or was
/// closed in the meantime stays as it is.
///
/// A redelivered event repeats the call under the same request id, and the row answers as at first. The history records the
/// change from its own event.
pub(crate) struct HandedOff(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for HandedOff {
    fn name(&self) -> &'static str {
        "assignment.handed_off"
    }

    fn source(&self) -> &'static str {
        "conversation"
    }

    fn types(&self) -> Vec<String> {
        vec![ConversationHandedOff::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let hand_off = match hand_off(event) {
            Ok(Some(hand_off)) => hand_off,
            Ok(None) => return Outcome::Ack,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        match self.assign_or_queue(hand_off).await {
            Ok(()) => Outcome::Ack,
            Err(AssignmentError::Rejected(status)) => {
                // Epochs only rise, so a rejection is final.
                tracing::info!(message = status.message(), "the named agent does not get the conversation");
                Outcome::Ack
            }
            Err(error @ AssignmentError::ConversationUnavailable) => Outcome::Unavailable(error.to_string()),
            Err(error) => Outcome::Retry(error.to_string()),
        }
    }
}

/// A hand-off to a named agent.
struct HandOff {
    account: AccountId,
    conversation: Uuid,
    epoch: i32,
    agent: Uuid,
    route: Route,
    at: Time,
    request_id: String,
}

/// Reads the event. None: the bot named no agent.
fn hand_off(event: &Event) -> Result<Option<HandOff>, String> {
    let handed_off: ConversationHandedOff = decode(event)?;
    if handed_off.agent_id.is_empty() {
        return Ok(None);
    }
    Ok(Some(HandOff {
        account: account_id(event)?,
        conversation: uuid("conversation_id", &handed_off.conversation_id)?,
        epoch: handed_off.epoch,
        agent: uuid("agent_id", &handed_off.agent_id)?,
        route: hand_off_route(&handed_off)?,
        at: handed_off.change_time.as_ref().map_or(Time(0), Time::from_proto),
        request_id: format!("hand-off-{}", event.id),
    }))
}

impl HandedOff {
    /// A conversation whose agent is not active waits in the queue, like one that was handed off without naming an agent.
    async fn assign_or_queue(&self, hand_off: HandOff) -> Result<(), AssignmentError> {
        let app = &self.0;
        let agent = store::agents::find(app.db.read(), hand_off.account, hand_off.agent).await?;
        if let Some(agent) = agent.filter(Agent::is_active) {
            let change = ChangeAssignee {
                account: hand_off.account,
                by: Actor { kind: CallerKind::Service, id: NAME.to_owned() },
                conversation: hand_off.conversation,
                expected_epoch: hand_off.epoch,
                to: Some(agent),
                cause: AssignmentCause::HandedOff,
                request_id: hand_off.request_id.clone(),
                only_if_waiting: false,
                administrator_name: String::new(),
            };
            match conversation::change_assignee(app, &change).await {
                // Meanwhile.
                Err(AssignmentError::AgentDeactivated) => {}
                changed => return changed.map(drop),
            }
        }
        tracing::info!(agent_id = %hand_off.agent, "the agent whom the bot named is not active; the conversation waits");
        self.queue(&hand_off).await
    }

    async fn queue(&self, hand_off: &HandOff) -> Result<(), AssignmentError> {
        let tx = self.0.db.begin_for(hand_off.account).await?;
        routing_accounts::wake_or_insert(&tx, hand_off.account).await?;
        let HandOff { account, conversation, epoch, route, at, .. } = *hand_off;
        conversation_owners::record_owner(&tx, account, conversation, epoch.into(), None).await?;
        let waiting = Waiting::new(conversation, epoch.into(), route, at);
        routing_queue::insert(&tx, account, [waiting]).await?;
        routing_queue::remove_if_over(&tx, account, [conversation]).await?;
        Ok(tx.commit().await?)
    }
}
