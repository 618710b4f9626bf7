//! The bots and routing policies of channels that were deleted: such a bot greets nobody (rule B1), and such a policy counts as the
//! default one (rule A4).

use std::collections::HashSet;

use frontdesk_auth::Caller;
use uuid::Uuid;

use crate::{
    App,
    domain::{Channel, DeletedReferences},
    error::ConversationError,
    store::{bots, routing_policies},
};

/// What the channels name and was deleted, as far as the local copies know.
pub(crate) async fn list_deleted_references(
    app: &App,
    caller: &Caller,
    channels: &[Channel],
) -> Result<DeletedReferences, ConversationError> {
    let mut found = DeletedReferences::default();
    let named_bots: HashSet<Uuid> = channels.iter().filter_map(|channel| channel.bot_id).collect();
    let policies = channels.iter().flat_map(|channel| [channel.routing_policy_id, channel.hand_off_policy_id]);
    let named_policies: HashSet<Uuid> = policies.flatten().collect();
    if named_bots.is_empty() && named_policies.is_empty() {
        return Ok(found);
    }
    let read = app.db.read_for(caller.account).await?;
    if !named_bots.is_empty() {
        found.bots = bots::list_deleted(&read.conn(), caller.account, named_bots).await?;
    }
    if !named_policies.is_empty() {
        found.routing_policies = routing_policies::list_deleted(&read.conn(), caller.account, named_policies).await?;
    }
    Ok(found)
}
