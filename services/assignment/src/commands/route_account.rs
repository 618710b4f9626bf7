//! Decides which agents get the conversations of an account that wait, and reserves their places (rules A4, A5, A6).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx, is_transient};
use sea_orm::DbErr;
use uuid::Uuid;

use super::steps::record_paces;
use crate::{
    App,
    domain::{Candidate, Desk, Notice, OutsideHours, Routed, RoutingOutcome, Waiting},
    queries::{load_desk, load_policies},
    store::{
        queue_notices,
        routing_accounts::{self, DueAccount},
        routing_queue::{self, Reservation},
        routing_queues, routing_turns,
    },
};

/// Maximum number of conversations of one queue that are read at a time.
const HEADS: u64 = 100;

/// Maximum number of times that one decision reads conversations: the lock of the account is held meanwhile.
const MAX_ROUNDS: usize = 5;

/// How long after a reservation the change of owner is repeated, unless it is settled.
pub(crate) const CHECK_AFTER: Duration = Duration::from_secs(5);

/// Maximum interval between two decisions while a conversation waits in an open queue.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// How long an account is put off about which nothing could be decided: the others have their turn.
const PUT_OFF: Duration = Duration::from_secs(30);

/// The same where the database was busy or away, or met another transaction at the same rows (seconds): an agent may be free.
const SHORTLY_PUT_OFF: Duration = Duration::from_secs(1);

/// What follows from a decision, outside of its transaction.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    pub(crate) reservations: Vec<Reservation>,
    pub(crate) notices: Vec<Notice>,
}

/// Decides about the account whose look is due the longest. None: no look is due that another transaction does not make. The decisions of
/// one account are made one after the other, each under the lock of the account's row, which sees every place that was given before.
/// `waits`: for the lock of that account, shortly, also where another one that is due is free.
pub(crate) async fn route_account(app: &App, waits: bool) -> Result<Option<Decided>, DbErr> {
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    let free = match waits {
        true => None,
        false => routing_accounts::find_due_for_update(&tx, now).await?,
    };
    let due = match free {
        None => routing_accounts::wait_for_due(&tx, now).await?,
        due => due,
    };
    let Some(due) = due else { return Ok(None) };
    let account = due.account;
    match decide(app, tx, due).await {
        Ok(decided) => Ok(Some(decided)),
        Err(error) => {
            tracing::error!(%error, account_id = %account, "an account cannot be routed; it is put off");
            let tx = app.db.begin().await?;
            routing_accounts::put_off(&tx, account, tx.now().await?.plus(put_off_for(&error))).await?;
            tx.commit().await?;
            Ok(Some(Decided::default()))
        }
    }
}

fn put_off_for(error: &DbErr) -> Duration {
    if is_transient(error) { SHORTLY_PUT_OFF } else { PUT_OFF }
}

async fn decide(app: &App, tx: Tx, due: DueAccount) -> Result<Decided, DbErr> {
    let DueAccount { account, last_turn } = due;
    let queues = routing_queues::list(tx.conn(), account).await?;
    if queues.is_empty() {
        routing_accounts::save(&tx, account, last_turn, None).await?;
        tx.commit().await?;
        return Ok(Decided::default());
    }

    let now = tx.now().await?;
    let policies = load_policies(tx.conn(), account, queues, now).await?;
    let mut desk = load_desk(tx.conn(), account, policies.by_queue.clone(), now, app.heartbeats).await?;
    let (mut routed, mut left, mut look_at) = (Vec::new(), 0, None);
    for round in 1..=MAX_ROUNDS {
        let (queue, ends) = list_heads(&tx, account, &desk).await?;
        let decision = desk.route(queue, &ends);
        routing_queue::reserve(&tx, account, &decision.routed, now.plus(CHECK_AFTER)).await?;
        routing_queue::leave(&tx, account, &decision.leaving).await?;
        routed.extend(decision.routed);
        left += decision.leaving.len();
        // While a queue is open, changes that nothing reports are seen soon. A closed one is looked at when it opens.
        let is_open = desk.policies.values().any(|policy| policy.open);
        let latest = match decision.goes_on {
            true => Some(now),
            false => is_open.then(|| now.plus(LOOK_AGAIN_AFTER)),
        };
        look_at = [decision.look_at, latest].into_iter().flatten().min();
        if !decision.goes_on || round == MAX_ROUNDS {
            break;
        }
    }
    record_paces(&tx, account, &routed, &policies, now).await?;
    routing_turns::save(&tx, account, routed.iter().map(|routed| (routed.agent, routed.turn)).collect()).await?;
    // After the reservations: a conversation that returns to its last owner needs none.
    let (notices, posted_again_at) = take_notices(&tx, account, &desk).await?;
    let look_at = [look_at, posted_again_at].into_iter().flatten().min();
    routing_accounts::save(&tx, account, desk.last_turn, look_at).await?;
    tx.commit().await?;
    app.outcomes.count(RoutingOutcome::Left, left);
    let reservation = |Routed { waiting, agent, .. }: Routed| {
        let Waiting { conversation, epoch, .. } = waiting;
        Reservation { account, conversation, epoch, agent }
    };
    Ok(Decided { reservations: routed.into_iter().map(reservation).collect(), notices })
}

/// Takes conversations outside of opening hours whose visitors have no message of the closing yet. Returns also when more are taken, or
/// messages are posted again that are not confirmed. None: every visitor has the message.
async fn take_notices(tx: &Tx, account: AccountId, desk: &Desk) -> Result<(Vec<Notice>, Option<Time>), DbErr> {
    let times = (desk.now, desk.now.plus(CHECK_AFTER));
    let (mut notices, mut next) = (Vec::new(), None);
    for (queue, policy) in &desk.policies {
        let Some(until) = policy.notice_until() else { continue };
        let taken = queue_notices::take(tx, account, *queue, until, times, HEADS).await?;
        let again_at = match taken.len() as u64 == HEADS {
            true => Some(desk.now.plus(LOOK_AGAIN_AFTER)),
            false => queue_notices::find_next_at(tx.conn(), account, *queue).await?,
        };
        next = [next, again_at].into_iter().flatten().min();
        let leaves = policy.rules.outside == OutsideHours::Unassigned;
        for Waiting { conversation, epoch, .. } in taken {
            let texts = policy.rules.outside_texts.clone();
            notices.push(Notice { account, conversation, epoch, until, texts, leaves });
        }
    }
    Ok((notices, next))
}

/// The conversations that can be next, oldest first, and the last one of each list behind which more wait. While a head of a queue waits,
/// one behind the heads can be next only for the owner of its contact, or its last owner: for everything else the agents who may take it
/// may take the head as well.
async fn list_heads(tx: &Tx, account: AccountId, desk: &Desk) -> Result<(Vec<Waiting>, BTreeSet<Uuid>), DbErr> {
    let (mut heads, mut ends) = (BTreeMap::new(), BTreeSet::new());
    for (queue, policy) in &desk.policies {
        let mut read = vec![routing_queue::list_heads(tx.conn(), account, *queue, HEADS).await?];
        if read[0].len() as u64 == HEADS {
            let conn = tx.conn();
            if policy.rules.names_contact_owner() {
                let owners = agents_who(desk, |candidate| candidate.can_take(&policy.rules));
                read.push(routing_queue::list_heads_of_owners(conn, account, *queue, owners, HEADS).await?);
            }
            let owners = agents_who(desk, Candidate::can_take_back);
            read.push(routing_queue::list_heads_of_last_owners(conn, account, *queue, owners, HEADS).await?);
        }
        let cut = read.iter().filter(|list| list.len() as u64 == HEADS);
        ends.extend(cut.filter_map(|list| list.last()).map(|last| last.conversation));
        heads.extend(read.into_iter().flatten().map(|waiting| ((waiting.since, waiting.conversation), waiting)));
    }
    Ok((heads.into_values().collect(), ends))
}

fn agents_who(desk: &Desk, can: impl Fn(&Candidate) -> bool) -> BTreeSet<Uuid> {
    desk.agents.values().filter(|candidate| can(candidate)).map(|candidate| candidate.agent).collect()
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnAcquireErr;

    use super::*;

    #[test]
    fn a6_a_decision_that_met_an_outage_is_made_again_soon_and_one_that_cannot_be_made_later() {
        assert_eq!(put_off_for(&DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)), SHORTLY_PUT_OFF);
        assert_eq!(put_off_for(&DbErr::Type("rules".into())), PUT_OFF);
    }
}
