//! The contacts of an inbox, also by the ids of those that were merged into them (rule X2a).

use frontdesk_auth::Caller;

use super::Filter;
use crate::{App, error::ConversationError, store::merged_contacts};

/// Adds the contacts into which those of the filter were merged.
pub(crate) async fn resolve_contacts(app: &App, caller: &Caller, filter: &mut Filter) -> Result<(), ConversationError> {
    if filter.contacts.is_empty() {
        return Ok(());
    }
    let read = app.db.read_for(caller.account).await?;
    let targets = merged_contacts::find_targets(&read.conn(), caller.account, &filter.contacts).await?;
    filter.contacts.extend(targets);
    Ok(())
}
