//! Gives a conversation to the agent at whom a place is reserved for it: the conversation's row decides (rules A1, A5).

use frontdesk_auth::{Actor, CallerKind};
use uuid::Uuid;

use crate::{
    App, NAME,
    conversation::{self, ChangeAssignee, Epoch},
    domain::{self, Agent, Assignment, AssignmentCause},
    error::AssignmentError,
    store::{self, routing_accounts, routing_queue, routing_queue::Reservation},
};

/// Asks for the change of owner, and confirms the reservation or gives the place back. It can stop anywhere and be repeated: the change has
/// the same request id and epoch each time, so the row applies it once or refuses it, and a refusal is final, because epochs only rise. A
/// service that cannot be reached leaves the reservation for the next check.
pub(crate) async fn settle_reservation(app: &App, reservation: Reservation) -> Result<(), AssignmentError> {
    let Reservation { account, conversation, epoch, agent } = reservation;
    let read = app.db.read_for(account).await?;
    let found = store::agents::find(&read.conn(), account, agent).await?;
    // The read ends before another service is asked.
    drop(read);
    let Some(to) = found else { return Ok(()) };
    let change = ChangeAssignee {
        account,
        by: Actor { kind: CallerKind::Service, id: NAME.to_owned() },
        conversation,
        expected_epoch: i32::try_from(epoch).unwrap_or(i32::MAX),
        to: Some(to),
        cause: AssignmentCause::Routed,
        request_id: request_id(&reservation),
        only_if_waiting: false,
    };
    fail::fail_point!("routing-reserved", |_| std::process::abort());
    let answer = conversation::change_assignee(app, &change).await;
    fail::fail_point!("routing-asked", |_| std::process::abort());
    match answer {
        Ok(begun) => confirm(app, &reservation, begun).await?,
        Err(AssignmentError::Rejected(status)) => {
            tracing::info!(message = status.message(), "a conversation that waited was closed or has another owner");
            let tx = app.db.begin_for(account).await?;
            routing_accounts::wake(&tx, account).await?;
            routing_queue::remove(&tx, account, conversation, epoch).await?;
            tx.commit().await?;
        }
        Err(AssignmentError::AgentDeactivated) => release_if_inactive(app, &reservation).await?,
        Err(error) => return Err(error),
    }
    fail::fail_point!("routing-settled", |_| std::process::abort());
    Ok(())
}

/// Records the owner in place of the reservation, in one transaction: at no time is the place free, and at none is it counted twice.
async fn confirm(app: &App, reservation: &Reservation, begun: Epoch) -> Result<(), AssignmentError> {
    let Reservation { account, conversation, epoch, agent } = *reservation;
    let tx = app.db.begin_for(account).await?;
    routing_accounts::lock(&tx, account).await?;
    if let Some(started_at) = begun.began_at {
        let assignment = Assignment {
            conversation,
            epoch: begun.number,
            owner: Some(domain::Actor::agent(agent)),
            by: Some(domain::Actor::System),
            cause: Some(AssignmentCause::Routed),
            started_at,
        };
        store::assignments::record(&tx, account, assignment).await?;
        store::conversation_owners::record_owner(&tx, account, conversation, begun.number, Some(agent)).await?;
    }
    routing_queue::remove(&tx, account, conversation, epoch).await?;
    tx.commit().await?;
    Ok(())
}

/// Gives the place back when the roster says too that the agent is not active: then the next decision is for another one. Otherwise the
/// copy of the conversation service is older or newer, and the check asks again.
async fn release_if_inactive(app: &App, reservation: &Reservation) -> Result<(), AssignmentError> {
    let Reservation { account, conversation, epoch, agent } = *reservation;
    let tx = app.db.begin_for(account).await?;
    routing_accounts::wake(&tx, account).await?;
    let found = store::agents::find(tx.conn(), account, agent).await?;
    if !found.as_ref().is_some_and(Agent::is_active) {
        routing_queue::release(&tx, account, conversation, epoch, agent).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// The same for each repeat of the change.
fn request_id(reservation: &Reservation) -> String {
    let name = format!("{}/{}", reservation.epoch, reservation.agent);
    format!("route-{}", Uuid::new_v5(&reservation.conversation, name.as_bytes()))
}
