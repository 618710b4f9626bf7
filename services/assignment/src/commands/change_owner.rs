//! What assigning, taking over and unassigning have in common: ask the row, then write the history down.

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use frontdesk_proto::assignment::v1::AssignmentCause;
use sea_orm::ConnectionTrait;
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

/// Which conversation shall change its owner, whoever shall get it.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) conversation: Uuid,
    pub(crate) expected_epoch: i64,
    pub(crate) request_id: String,
    /// Keeps the epoch that the first request led to.
    pub(crate) key: Key,
}

/// The first answer to a repeat (rule C12). To be asked before anything that may have changed since then is checked.
pub(super) async fn first_answer(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    wish: &Wish,
    owner: Party,
) -> Result<Option<Owned>, AssignmentError> {
    match wish.key.find::<i64>(conn).await? {
        Some(epoch) => Ok(Some(owned(conn, caller, wish.conversation, epoch, owner).await?)),
        None => Ok(None),
    }
}

/// Asks for the change by the caller's own hand. The history hears of it from the event too: if we die in between, it is
/// complete all the same.
pub(super) async fn change_owner(
    app: &App,
    caller: &Caller,
    wish: Wish,
    to: Option<Agent>,
) -> Result<Owned, AssignmentError> {
    let Wish { conversation, expected_epoch, request_id, key } = wish;
    let change = Change {
        account: caller.account,
        actor: caller.actor.clone(),
        conversation,
        expected_epoch,
        to,
        request_id: derived(caller, &request_id),
    };
    let changed = conversation::change_assignee(app, &change).await?;

    let tx = app.db.begin_for(caller.account).await?;
    // Only now: a refusal is no answer to keep. Of two at once the row has given both the same epoch.
    if key.claim::<i64>(&tx).await?.is_none() {
        key.store_result(&tx, &changed.epoch).await?;
    }
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
    let owned = owned(tx.conn(), caller, conversation, changed.epoch, change.owner()).await?;
    tx.commit().await?;
    Ok(owned)
}

async fn owned(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    conversation: Uuid,
    epoch: i64,
    owner: Party,
) -> Result<Owned, AssignmentError> {
    let stretch = store::assignments::find(conn, caller.account, conversation, epoch).await?;
    let ours = stretch.filter(|stretch| stretch.owner == owner);
    Ok(ours.map_or_else(|| Owned::Unheard { conversation, epoch, owner }, Owned::Recorded))
}

/// The id under which the row knows this wish: the caller's own one may be used at the conversation service too, for
/// something else.
fn derived(caller: &Caller, request_id: &str) -> String {
    let name = format!("{}/{request_id}", caller.actor);
    format!("assign-{}", Uuid::new_v5(&caller.account.0, name.as_bytes()))
}
