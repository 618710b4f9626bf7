//! Gives conversations to the agents at whom places are reserved for them: the row of each conversation decides (rules A1, A5).

use std::collections::BTreeSet;

use frontdesk_auth::{Actor, CallerKind};
use frontdesk_db::{AccountId, Tx, is_connection_lost};
use futures::{FutureExt, StreamExt, stream};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    App, NAME,
    conversation::{self, Answer, ChangeAssignee},
    domain::{self, Agent, Assignment, AssignmentCause, RoutingOutcome},
    error::AssignmentError,
    store::{self, routing_accounts, routing_queue, routing_queue::Reservation},
};

/// Maximum number of conversations that are asked alone at once.
const ALONE_AT_ONCE: usize = 16;

/// Asks for the changes of owner in one call, and confirms the reservations or gives the places back in one transaction. `reservations`: of
/// this account, at most as many as one call takes.
///
/// It can stop anywhere and be repeated: each change has the same request id and epoch each time, so its row applies it once or refuses it,
/// and a refusal is final, because epochs only rise. A service that cannot be reached leaves the reservations for the next check. Conversations
/// about which the call does not decide are asked one by one; they hold up no other one.
pub(crate) async fn settle_reservations(
    app: &App,
    account: AccountId,
    reservations: Vec<Reservation>,
) -> Result<(), AssignmentError> {
    let (reservations, changes) = changes(app, account, reservations).await?;
    fail::fail_point!("routing-reserved", |_| std::process::abort());
    let answers = conversation::change_assignees(app, account, &router(), &changes).await;
    fail::fail_point!("routing-asked", |_| std::process::abort());
    let mut alone = Vec::new();
    let mut answered = Vec::new();
    for ((reservation, change), answer) in reservations.into_iter().zip(changes).zip(answers?) {
        match answer {
            Answer::Undecided => alone.push(ask_alone(app, reservation, change).boxed()),
            answer => answered.push((reservation, answer)),
        }
    }
    record(app, account, &answered).await?;
    fail::fail_point!("routing-settled", |_| std::process::abort());

    let answered: Vec<Option<(Reservation, Answer)>> =
        stream::iter(alone).buffer_unordered(ALONE_AT_ONCE).collect().await;
    record(app, account, &answered.into_iter().flatten().collect::<Vec<_>>()).await
}

/// The changes that the reservations ask for.
async fn changes(
    app: &App,
    account: AccountId,
    reservations: Vec<Reservation>,
) -> Result<(Vec<Reservation>, Vec<ChangeAssignee>), AssignmentError> {
    let read = app.db.read_for(account).await?;
    let ids = reservations.iter().map(|reservation| reservation.agent).collect();
    let agents = store::agents::find_many(&read.conn(), account, ids).await?;
    // The read ends before another service is asked.
    drop(read);
    let change = |reservation: Reservation| {
        let change = ChangeAssignee {
            account,
            by: router(),
            conversation: reservation.conversation,
            expected_epoch: i32::try_from(reservation.epoch).unwrap_or(i32::MAX),
            to: Some(agents.get(&reservation.agent)?.clone()),
            cause: AssignmentCause::Routed,
            request_id: request_id(&reservation),
            only_if_waiting: false,
            administrator_name: String::new(),
        };
        Some((reservation, change))
    };
    Ok(reservations.into_iter().filter_map(change).unzip())
}

/// Asks for one change. None: it is not known whether it was made, and the next check asks again.
async fn ask_alone(app: &App, reservation: Reservation, change: ChangeAssignee) -> Option<(Reservation, Answer)> {
    let answer = match conversation::change_assignee(app, &change).await {
        Ok(begun) => Answer::Changed(begun),
        Err(AssignmentError::Rejected(status)) => {
            tracing::info!(message = status.message(), "a conversation that waited was closed or has another owner");
            Answer::Refused
        }
        Err(AssignmentError::AgentDeactivated) => Answer::AgentDeactivated,
        Err(error) => {
            let conversation_id = reservation.conversation;
            tracing::warn!(%error, %conversation_id, "a conversation is not given to its agent yet; it is repeated");
            return None;
        }
    };
    Some((reservation, answer))
}

/// Records what the rows answered: of all together, or otherwise one by one, so that none holds up another one.
async fn record(app: &App, account: AccountId, answered: &[(Reservation, Answer)]) -> Result<(), AssignmentError> {
    match record_together(app, account, answered).await {
        Err(error) if answered.len() > 1 && !is_connection_lost(&error) => {
            tracing::warn!(%error, members = answered.len(), "assignments are recorded one by one");
        }
        recorded => return Ok(recorded?),
    }
    for one in answered {
        if let Err(error) = record_together(app, account, std::slice::from_ref(one)).await {
            let conversation_id = one.0.conversation;
            tracing::warn!(%error, %conversation_id, "an assignment is not recorded yet; it is repeated");
        }
    }
    Ok(())
}

/// Records the owners in place of the reservations, in one transaction: at no time is a place free, and at none is it counted twice.
async fn record_together(app: &App, account: AccountId, answered: &[(Reservation, Answer)]) -> Result<(), DbErr> {
    if answered.is_empty() {
        return Ok(());
    }
    let tx = app.db.begin_for(account).await?;
    let gives_back = answered.iter().any(|(_, answer)| !matches!(answer, Answer::Changed(_)));
    match gives_back {
        true => routing_accounts::wake(&tx, account).await?,
        false => routing_accounts::lock(&tx, account).await?,
    }
    let mut assignments = Vec::new();
    let (mut settled, mut inactive) = (Vec::new(), Vec::new());
    for (reservation, answer) in answered {
        match answer {
            Answer::Changed(begun) => {
                let assignment = |started_at| Assignment {
                    conversation: reservation.conversation,
                    epoch: begun.number,
                    owner: Some(domain::Actor::agent(reservation.agent)),
                    by: Some(domain::Actor::System),
                    cause: Some(AssignmentCause::Routed),
                    started_at,
                };
                assignments.extend(begun.began_at.map(assignment));
                settled.push((reservation.conversation, reservation.epoch));
            }
            Answer::Refused => settled.push((reservation.conversation, reservation.epoch)),
            Answer::AgentDeactivated => inactive.push(reservation),
            Answer::Undecided => {}
        }
    }
    assignments.sort_by_key(|assignment| (assignment.conversation, assignment.epoch));
    store::conversation_owners::record_owners(&tx, account, &assignments).await?;
    let assignments: Vec<_> = assignments.into_iter().map(|assignment| (account, assignment)).collect();
    store::assignments::record_all(&tx, assignments).await?;
    routing_queue::remove(&tx, account, settled).await?;
    release_inactive(&tx, account, &inactive).await?;
    tx.commit().await?;
    for (_, answer) in answered {
        match answer {
            Answer::Changed(_) => app.outcomes.count(RoutingOutcome::Assigned, 1),
            Answer::Refused => app.outcomes.count(RoutingOutcome::Refused, 1),
            Answer::AgentDeactivated => app.outcomes.count(RoutingOutcome::AgentInactive, 1),
            Answer::Undecided => {}
        }
    }
    Ok(())
}

/// Gives places back when the roster says too that their agents are not active: then the next decision is for others. Otherwise the
/// copy of the conversation service is older or newer, and the check asks again.
async fn release_inactive(tx: &Tx, account: AccountId, inactive: &[&Reservation]) -> Result<(), DbErr> {
    if inactive.is_empty() {
        return Ok(());
    }
    let ids: BTreeSet<Uuid> = inactive.iter().map(|reservation| reservation.agent).collect();
    let agents = store::agents::find_many(tx.conn(), account, ids).await?;
    for Reservation { conversation, epoch, agent, .. } in inactive {
        if !agents.get(agent).is_some_and(Agent::is_active) {
            routing_queue::release(tx, account, *conversation, *epoch, *agent).await?;
        }
    }
    Ok(())
}

/// Routing acts as the service itself.
fn router() -> Actor {
    Actor { kind: CallerKind::Service, id: NAME.to_owned() }
}

/// The same for each repeat of the change.
fn request_id(reservation: &Reservation) -> String {
    let name = format!("{}/{}", reservation.epoch, reservation.agent);
    format!("route-{}", Uuid::new_v5(&reservation.conversation, name.as_bytes()))
}
