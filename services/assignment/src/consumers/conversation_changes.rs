//! Reads what events say of conversations: their owners, their status, and how they wait for an agent.

use frontdesk_bus::{
    decode,
    event::{account_id, uuid},
};
use frontdesk_clock::Time;
use frontdesk_proto::event::v1::{
    ConversationClosed, ConversationHandedOff, ConversationReopened, ConversationStarted, Event,
};
use prost::Name;
use uuid::Uuid;

use super::history;
use crate::domain::{Actor, AssignmentCause, ConversationChange, NewOwner, PeriodEnd, Route, Waiting};

/// Reads the event.
pub(super) fn change(event: &Event) -> Result<ConversationChange, String> {
    let (account, version) = (account_id(event)?, event.version.into());
    if event.r#type == ConversationClosed::full_name() {
        let closed: ConversationClosed = decode(event)?;
        let conversation = uuid("conversation_id", &closed.conversation_id)?;
        let end = |closed_at| PeriodEnd { conversation, epoch: closed.epoch.into(), closed_at };
        let end = closed.close_time.as_ref().map(Time::from_proto).filter(|_| closed.epoch > 0).map(end);
        return Ok(ConversationChange {
            account,
            conversation,
            version,
            owner: None,
            open: Some(false),
            end,
            route: None,
            waiting: None,
        });
    }
    let assignment = history::assignment(event)?;
    let agent = assignment.owner.as_ref().and_then(Actor::agent_id);
    let goes_back = assignment.owner.is_none() && assignment.cause.is_some_and(AssignmentCause::gives_back);
    let given_back_at = Some(assignment.started_at).filter(|_| goes_back);
    let opens = [ConversationStarted::full_name(), ConversationReopened::full_name()].contains(&event.r#type);
    let routed = routed(event)?;
    let waiting = routed.as_ref().filter(|routed| routed.waits && agent.is_none()).map(|routed| Waiting {
        last_owner: routed.last_owner,
        ..Waiting::new(assignment.conversation, assignment.epoch, routed.route, assignment.started_at)
    });
    let by_routing = assignment.cause == Some(AssignmentCause::Routed);
    Ok(ConversationChange {
        account,
        conversation: assignment.conversation,
        version,
        owner: Some(NewOwner { epoch: assignment.epoch, agent, given_back_at, routed: by_routing && agent.is_some() }),
        open: opens.then_some(true),
        end: None,
        route: routed.map(|routed| routed.route),
        waiting,
    })
}

/// How an event says that a conversation is routed.
struct Routed {
    route: Route,
    /// Whether it waits for an agent if none owns it.
    waits: bool,
    last_owner: Option<Uuid>,
}

/// A conversation waits that begins on a channel with a routing policy, that a bot hands off without naming an agent (rule B8), or that an
/// administrator reopens (rule E4). One that begins with a bot is routed when it leaves the bot.
fn routed(event: &Event) -> Result<Option<Routed>, String> {
    let (route, waits, last_owner) = if event.r#type == ConversationStarted::full_name() {
        let started: ConversationStarted = decode(event)?;
        if started.bot_id.is_empty() && started.routing_policy_id.is_empty() {
            return Ok(None);
        }
        let has_bot = !started.bot_id.is_empty();
        let policy = if has_bot { &started.hand_off_routing_policy_id } else { &started.routing_policy_id };
        (route(policy, "", &started.contact_owner_agent_id)?, !has_bot, None)
    } else if event.r#type == ConversationHandedOff::full_name() {
        let handed_off: ConversationHandedOff = decode(event)?;
        (hand_off_route(&handed_off)?, handed_off.agent_id.is_empty(), None)
    } else if event.r#type == ConversationReopened::full_name() {
        let reopened: ConversationReopened = decode(event)?;
        if !reopened.routed {
            return Ok(None);
        }
        let last_owner = optional_uuid("last_owner_agent_id", &reopened.last_owner_agent_id)?;
        (route(&reopened.routing_policy_id, "", &reopened.contact_owner_agent_id)?, true, last_owner)
    } else {
        return Ok(None);
    };
    Ok(Some(Routed { route, waits, last_owner }))
}

/// How a hand-off says that the conversation is routed.
pub(super) fn hand_off_route(handed_off: &ConversationHandedOff) -> Result<Route, String> {
    route(&handed_off.routing_policy_id, &handed_off.team_id, &handed_off.contact_owner_agent_id)
}

fn route(policy: &str, team: &str, contact_owner: &str) -> Result<Route, String> {
    Ok(Route {
        policy: optional_uuid("routing_policy_id", policy)?,
        team: optional_uuid("team_id", team)?,
        contact_owner: optional_uuid("contact_owner_agent_id", contact_owner)?,
    })
}

fn optional_uuid(field: &'static str, text: &str) -> Result<Option<Uuid>, String> {
    if text.is_empty() { Ok(None) } else { uuid(field, text).map(Some) }
}
