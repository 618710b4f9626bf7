//! What assigning, taking over and unassigning have in common: ask the row, then write the history down.

use frontdesk_auth::Caller;
use frontdesk_proto::assignment::v1::AssignmentCause;
use uuid::Uuid;

use crate::{
    App,
    conversation::{self, Change},
    domain::{Agent, Party, Stretch},
    error::AssignmentError,
    store,
};

/// What a change of owner led to.
#[derive(Clone, Debug)]
pub(crate) enum Owned {
    /// The stretch that began.
    Recorded(Stretch),
    /// The owner had it already, or the conversation went on to others before a repeat was answered, and the history has
    /// not heard of the stretch yet.
    Unheard { conversation: Uuid, epoch: i64, owner: Party },
}

/// Asks for the change by the caller's own hand. The history hears of it from the event too: if we die in between, it is
/// complete all the same.
pub(super) async fn change_owner(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    expected_epoch: i64,
    to: Option<Agent>,
    request_id: &str,
) -> Result<Owned, AssignmentError> {
    let change = Change {
        account: caller.account,
        actor: caller.actor.clone(),
        conversation,
        expected_epoch,
        to,
        request_id: derived(caller, request_id),
    };
    let changed = conversation::change_assignee(app, &change).await?;

    let tx = app.db.begin().await?;
    if let Some(started_at) = changed.at {
        let stretch = Stretch {
            conversation,
            epoch: changed.epoch,
            owner: change.owner(),
            by: Party::of(&caller.actor),
            cause: AssignmentCause::ByHand,
            started_at,
        };
        store::assignments::record(&tx, caller.account, &stretch).await?;
    }
    let stretch = store::assignments::find(tx.conn(), caller.account, conversation, changed.epoch).await?;
    tx.commit().await?;

    let ours = stretch.filter(|stretch| stretch.owner == change.owner());
    Ok(ours
        .map_or_else(|| Owned::Unheard { conversation, epoch: changed.epoch, owner: change.owner() }, Owned::Recorded))
}

/// The id under which the row knows this wish: the caller's own one may be used at the conversation service too, for
/// something else.
fn derived(caller: &Caller, request_id: &str) -> String {
    let name = format!("{}/{request_id}", caller.actor);
    format!("assign-{}", Uuid::new_v5(&caller.account.0, name.as_bytes()))
}
