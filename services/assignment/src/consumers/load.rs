//! Keeps which agents own which open conversations, and which conversations wait in the queue of routing (rules A6, A7): the load of an
//! agent is the number of theirs. Also the closes that end periods of the history (rule A8), which need no transaction of their own here.

use std::collections::BTreeMap;

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_proto::event::v1::{
    AssigneeChanged, ConversationClosed, ConversationHandedOff, ConversationReopened, ConversationStarted, Event,
};
use prost::Name;
use sea_orm::DbErr;
use uuid::Uuid;

use super::history;
use crate::{
    App,
    domain::{Absence, Actor, AgentStatus, AssignmentCause, PeriodEnd, Route, Waiting},
    store::{
        agent_returns, agent_statuses, agents, assignment_closes, conversation_owners, routing_accounts, routing_queue,
    },
};

/// Records the owner and the status of conversations. Events may come in any order and repeatedly: the higher epoch has the owner, the
/// higher version of the conversation the status.
pub(crate) struct Load(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for Load {
    fn name(&self) -> &'static str {
        "assignment.load"
    }

    fn source(&self) -> &'static str {
        "conversation"
    }

    fn types(&self) -> Vec<String> {
        vec![
            ConversationStarted::full_name(),
            AssigneeChanged::full_name(),
            ConversationHandedOff::full_name(),
            ConversationReopened::full_name(),
            ConversationClosed::full_name(),
        ]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        match account_id(event).and_then(|account| Ok((account, change(event)?))) {
            Ok((account, change)) => self.record(account, event.version.into(), change).await.into(),
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }

    fn max_batch(&self) -> usize {
        MAX_BATCH
    }

    async fn handle_batch(&self, events: &[Event]) -> Vec<bool> {
        let closed: Vec<_> = events.iter().map(closed).collect();
        let mut closes = Closes::new();
        for (conversation, close) in closed.iter().flatten() {
            closes.entry(*conversation).or_default().push(*close);
        }
        let recorded = self.record_closes(closes).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "closes are recorded one by one");
            Closes::new()
        });
        let is_recorded = |(conversation, _): (_, Close)| recorded.contains_key(&conversation);
        closed.into_iter().map(|close| close.is_some_and(is_recorded)).collect()
    }
}

/// Maximum number of closes that one transaction records.
const MAX_BATCH: usize = 64;

/// Closed conversations, each with its closes.
type Closes = BTreeMap<(AccountId, Uuid), Vec<Close>>;

/// A close of a conversation.
#[derive(Clone, Copy)]
struct Close {
    /// The version of the conversation at the close.
    version: i64,
    /// None: the event does not say it.
    end: Option<PeriodEnd>,
}

/// The conversation that the event closes, and the close. None: it closes none.
fn closed(event: &Event) -> Option<((AccountId, Uuid), Close)> {
    let change = (event.r#type == ConversationClosed::full_name()).then(|| change(event).ok())??;
    let close = Close { version: event.version.into(), end: change.end };
    Some(((account_id(event).ok()?, change.conversation), close))
}

/// The version of each conversation at the last of its closes, in their order.
fn newest_versions(closes: &Closes) -> impl Iterator<Item = ((AccountId, Uuid), i64)> {
    closes
        .iter()
        .map(|(conversation, closes)| (*conversation, closes.iter().map(|close| close.version).max().unwrap_or(0)))
}

/// The periods that the closes end, in the order of their conversations.
fn ends(closes: &Closes) -> Vec<(AccountId, PeriodEnd)> {
    let mut ends = Vec::new();
    for ((account, _), closes) in closes {
        ends.extend(closes.iter().filter_map(|close| Some((*account, close.end?))));
    }
    ends
}

/// What an event says of a conversation.
struct Change {
    conversation: Uuid,
    /// None: the owner stays.
    owner: Option<NewOwner>,
    /// Whether the conversation is open from the event on. None: its status stays.
    open: Option<bool>,
    /// The period that the event ends. None: it closes no conversation.
    end: Option<PeriodEnd>,
    /// How the conversation is routed from the event on. None: that stays.
    route: Option<Route>,
    /// How the conversation waits for an agent from the event on. None: the event begins no wait.
    waiting: Option<Waiting>,
}

/// The owner of a conversation in the epoch that began.
struct NewOwner {
    epoch: i64,
    /// None: no agent owns it.
    agent: Option<Uuid>,
    /// When the agent before gave it back. None: it did not become unassigned by that.
    given_back_at: Option<Time>,
}

/// Reads the event.
fn change(event: &Event) -> Result<Change, String> {
    if event.r#type == ConversationClosed::full_name() {
        let closed: ConversationClosed = decode(event)?;
        let conversation = uuid("conversation_id", &closed.conversation_id)?;
        let end = |closed_at| PeriodEnd { conversation, epoch: closed.epoch.into(), closed_at };
        let end = closed.close_time.as_ref().map(Time::from_proto).filter(|_| closed.epoch > 0).map(end);
        return Ok(Change { conversation, owner: None, open: Some(false), end, route: None, waiting: None });
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
    Ok(Change {
        conversation: assignment.conversation,
        owner: Some(NewOwner { epoch: assignment.epoch, agent, given_back_at }),
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

impl Load {
    /// Records closes of conversations that no agent owns and that are not in the queue, such as those of bots, and returns them. They free no
    /// place: they need neither a decision nor the account's lock, under which the events of an account are handled one at a time.
    async fn record_closes(&self, mut closes: Closes) -> Result<Closes, DbErr> {
        if closes.is_empty() {
            return Ok(closes);
        }
        let tx = self.0.db.begin().await?;
        let others = conversation_owners::owned_or_queued(&tx, closes.keys().copied()).await?;
        closes.retain(|conversation, _| !others.contains(conversation));
        if closes.is_empty() {
            return Ok(closes);
        }
        // This locks the rows of the owners, as every transaction does before it adds a conversation to the queue: what follows sees that.
        conversation_owners::record_status(&tx, newest_versions(&closes), false).await?;
        if !conversation_owners::owned_or_queued(&tx, closes.keys().copied()).await?.is_empty() {
            // Rolled back: the account is locked before the rows.
            return Ok(Closes::new());
        }
        assignment_closes::record(&tx, ends(&closes)).await?;
        tx.commit().await?;
        Ok(closes)
    }

    async fn record(&self, account: AccountId, version: i64, change: Change) -> Result<(), DbErr> {
        let tx = self.0.db.begin().await?;
        let conversation = change.conversation;
        // Before the account, as everything that locks agents.
        if let Some(agent) = change.owner.as_ref().and_then(|owner| owner.agent) {
            self.give_back_if_absent(&tx, account, agent).await?;
        }
        // The account before rows of the queue: an owner's change or a close may free a place.
        if change.waiting.is_some() {
            routing_accounts::wake_or_insert(&tx, account).await?;
        } else {
            routing_accounts::wake(&tx, account).await?;
        }
        if let Some(NewOwner { epoch, agent, given_back_at }) = change.owner {
            match given_back_at {
                Some(at) => conversation_owners::record_given_back(&tx, account, conversation, epoch, at).await?,
                None => conversation_owners::record_owner(&tx, account, conversation, epoch, agent).await?,
            }
            if let Some(route) = change.route {
                conversation_owners::record_route(&tx, account, conversation, epoch, route).await?;
            }
        }
        if let Some(open) = change.open {
            conversation_owners::record_status(&tx, [((account, conversation), version)], open).await?;
        }
        assignment_closes::record(&tx, change.end.map(|end| (account, end))).await?;
        if let Some(waiting) = change.waiting {
            routing_queue::insert(&tx, account, &waiting).await?;
        }
        queue_if_given_back(&tx, account, conversation).await?;
        routing_queue::remove_if_over(&tx, account, conversation).await?;
        tx.commit().await
    }

    /// Has the conversations of the agent looked at who owns one now, if they were deactivated or vanished. The locks order this with their
    /// deactivation and the end of their heartbeats: one of the two finds the conversation.
    async fn give_back_if_absent(&self, tx: &Tx, account: AccountId, id: Uuid) -> Result<(), DbErr> {
        let Some(agent) = agents::find_for_update(tx, account, id).await? else { return Ok(()) };
        let status = agent_statuses::find_for_update(tx, account, id).await?;
        let status =
            status.unwrap_or_else(|| AgentStatus::new(account, id)).view(tx.now().await?, self.0.heartbeats, 0);
        if Absence::of(&agent, &status).is_some() {
            agent_returns::schedule(tx, account, id).await?;
        }
        Ok(())
    }
}

/// Adds a conversation to the queue that an agent gave back, if it is routed. Looked at with each event: the one that says how it is routed
/// may come later.
async fn queue_if_given_back(tx: &Tx, account: AccountId, conversation: Uuid) -> Result<(), DbErr> {
    let Some(known) = conversation_owners::find(tx.conn(), account, conversation).await? else { return Ok(()) };
    let (Some(route), Some(since)) = (known.route(), known.given_back_at) else { return Ok(()) };
    if known.open && known.agent_id.is_none() {
        routing_accounts::wake_or_insert(tx, account).await?;
        routing_queue::insert(tx, account, &Waiting::new(conversation, known.epoch, route, since)).await?;
    }
    Ok(())
}
