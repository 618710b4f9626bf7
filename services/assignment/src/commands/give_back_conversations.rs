//! Gives back the open conversations of agents who were deactivated or vanished (rules A2, A7): a page of one agent at a time.

use std::{collections::BTreeMap, time::Duration};

use frontdesk_auth::{Actor, CallerKind};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    App, NAME,
    conversation::{self, ChangeAssignee},
    domain::{Absence, AgentStatus, AssignmentCause},
    error::AssignmentError,
    store::{
        agent_returns::{self, TakenAgent},
        agent_statuses, agents,
        conversation_owners::{self, OwnedConversation},
        routing_policies,
    },
};

/// Maximum number of conversations of one page.
const PAGE: u64 = 50;

/// How long one replica has for a page. Another one takes the agent after it.
const LEASE: Duration = Duration::from_secs(30);

/// Interval between two looks at the conversations of an agent: visitors may have begun to wait.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Interval until the next look after conversations were given back, or the conversation service could not be reached.
const LOOK_SOON_AFTER: Duration = Duration::from_secs(1);

/// The next look at the conversations of an agent.
struct NextLook {
    at: Time,
    /// The last conversation of this page. None: it begins with the first one.
    after: Option<Uuid>,
}

/// Gives back a page of the agent whose look is due the longest. False: no look is due. It can stop anywhere: another replica looks again
/// when the lease has ended, and what it asks for again has the same request id. The events of the changes move the conversations to the
/// queue (`consumers/load.rs`).
pub(crate) async fn give_back_conversations(app: &App) -> Result<bool, DbErr> {
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    let taken = agent_returns::take_due(&tx, now, now.plus(LEASE)).await?;
    tx.commit().await?;
    let Some(taken) = taken else { return Ok(false) };

    let next = give_back_page(app, &taken).await?;
    let tx = app.db.begin_for(taken.account).await?;
    match next {
        Some(next) => agent_returns::look_again(&tx, &taken, next.at, next.after).await?,
        None => agent_returns::remove(&tx, &taken).await?,
    }
    tx.commit().await?;
    Ok(true)
}

/// None: nothing is left to be looked at.
async fn give_back_page(app: &App, taken: &TakenAgent) -> Result<Option<NextLook>, DbErr> {
    let now = app.db.now().await?;
    let (page, take_back_after) = read_page(app, taken).await?;
    let (is_first, is_last) = (taken.after.is_none(), (page.len() as u64) < PAGE);
    let mut next = NextLook { at: now.plus(LOOK_AGAIN_AFTER), after: None };
    let mut may_go_back = false;
    for owned in &page {
        // Read for each conversation: the agent may be back.
        let Some(absence) = find_absence(app, taken.account, taken.agent).await? else { return Ok(None) };
        may_go_back |= absence == Absence::Deactivated || owned.route.is_some();
        let policy = owned.route.and_then(|route| route.policy);
        let Some(at) = absence.takes_back_at(policy.and_then(|policy| take_back_after.get(&policy).copied())) else {
            continue;
        };
        if at > now {
            next.at = next.at.min(at);
            continue;
        }
        let given_back = conversation::change_assignee(app, &change(taken, owned, absence)).await;
        fail::fail_point!("give-back-asked", |_| std::process::abort());
        match given_back {
            Ok(_) => next.at = next.at.min(now.plus(LOOK_SOON_AFTER)),
            Err(AssignmentError::Rejected(status)) => {
                let conversation_id = owned.conversation;
                tracing::debug!(message = status.message(), %conversation_id, "a conversation stays with its agent");
            }
            Err(error) => {
                tracing::warn!(%error, agent_id = %taken.agent, "an agent's conversations are not given back yet; it is repeated");
                return Ok(Some(NextLook { at: now.plus(LOOK_SOON_AFTER), after: taken.after }));
            }
        }
    }
    if !is_last {
        return Ok(Some(NextLook { at: now, after: page.last().map(|last| last.conversation) }));
    }
    Ok(Some(next).filter(|_| may_go_back || !is_first))
}

/// A page of open conversations that the agent owns, and how long after the agent vanished their policies take them back.
async fn read_page(app: &App, taken: &TakenAgent) -> Result<(Vec<OwnedConversation>, BTreeMap<Uuid, Duration>), DbErr> {
    let (account, read) = (taken.account, app.db.read_for(taken.account).await?);
    let conn = read.conn();
    let page = conversation_owners::list_open_of(&conn, account, taken.agent, taken.after, PAGE).await?;
    let policies = page.iter().filter_map(|owned| owned.route?.policy).collect();
    let policies = routing_policies::find_many(&conn, account, policies).await?;
    let stored = policies.into_iter().filter(|policy| policy.deleted_at.is_none());
    let after = stored.filter_map(|policy| policy.rules.take_back_after.map(|after| (policy.id, after)));
    Ok((page, after.collect()))
}

/// None: the agent keeps their conversations.
async fn find_absence(app: &App, account: AccountId, id: Uuid) -> Result<Option<Absence>, DbErr> {
    let read = app.db.read_for(account).await?;
    let Some(agent) = agents::find(&read.conn(), account, id).await? else { return Ok(None) };
    let status = agent_statuses::find(&read.conn(), account, id).await?;
    drop(read);
    let status = status.unwrap_or_else(|| AgentStatus::new(account, id));
    Ok(Absence::of(&agent, &status.view(app.db.now().await?, app.heartbeats, 0)))
}

fn change(taken: &TakenAgent, owned: &OwnedConversation, absence: Absence) -> ChangeAssignee {
    let cause = absence.cause();
    // The same for each repeat of the change.
    let name = format!("{}/{}/{cause:?}", owned.epoch, taken.agent);
    ChangeAssignee {
        account: taken.account,
        by: Actor { kind: CallerKind::Service, id: NAME.to_owned() },
        conversation: owned.conversation,
        expected_epoch: i32::try_from(owned.epoch).unwrap_or(i32::MAX),
        to: None,
        cause,
        request_id: format!("give-back-{}", Uuid::new_v5(&owned.conversation, name.as_bytes())),
        only_if_waiting: cause == AssignmentCause::AgentUnreachable,
        administrator_name: String::new(),
    }
}
