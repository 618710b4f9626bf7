//! The history of a conversation's owners (rule A8).

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::assignment::v1::OwnerKind;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    App,
    domain::{Party, Stretch, ends},
    error::AssignmentError,
    store,
};

const NEWEST: u64 = 1_000;

/// A stretch as people read it: with its end, and with the names that the roster has today.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) stretch: Stretch,
    pub(crate) ended_at: Option<Time>,
    pub(crate) owner_name: String,
    pub(crate) by_name: String,
}

/// The newest stretches, oldest first.
pub(crate) async fn list_assignments(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
) -> Result<Vec<Line>, AssignmentError> {
    lines(app, caller, conversation, NEWEST).await
}

/// The stretch that a command has just recorded.
pub(crate) async fn line_of(app: &App, caller: &Caller, stretch: Stretch) -> Result<Line, AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    let named = name(&read.conn(), caller.account, vec![(stretch, None)]).await?;
    named.into_iter().next().ok_or(AssignmentError::NotFound("conversation"))
}

pub(super) async fn lines(
    app: &App,
    caller: &Caller,
    conversation: Uuid,
    newest: u64,
) -> Result<Vec<Line>, AssignmentError> {
    let read = app.db.read_for(caller.account).await?;
    let stretches = store::assignments::newest(&read.conn(), caller.account, conversation, newest).await?;
    name(&read.conn(), caller.account, ends(stretches)).await
}

async fn name(
    conn: &impl ConnectionTrait,
    account: AccountId,
    stretches: Vec<(Stretch, Option<Time>)>,
) -> Result<Vec<Line>, AssignmentError> {
    let mut agents: Vec<Uuid> = stretches
        .iter()
        .flat_map(|(stretch, _)| [&stretch.owner, &stretch.by])
        .filter(|party| party.kind == OwnerKind::Agent)
        .filter_map(|party| party.id.parse().ok())
        .collect();
    agents.sort_unstable();
    agents.dedup();
    let names = store::agents::names(conn, account, agents).await?;
    let name_of = |party: &Party| names.get(&party.id).cloned().unwrap_or_default();
    Ok(stretches
        .into_iter()
        .map(|(stretch, ended_at)| {
            let (owner_name, by_name) = (name_of(&stretch.owner), name_of(&stretch.by));
            Line { stretch, ended_at, owner_name, by_name }
        })
        .collect())
}
