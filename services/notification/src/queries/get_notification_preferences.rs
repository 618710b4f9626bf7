//! What the calling agent is mailed (rule N4).

use frontdesk_auth::Caller;

use crate::{App, domain::NotificationPreferences, error::NotificationError, store};

/// Returns the preferences of the calling agent.
pub(crate) async fn get_notification_preferences(
    app: &App,
    caller: &Caller,
) -> Result<NotificationPreferences, NotificationError> {
    let agent = caller.agent_id().ok_or(NotificationError::AgentUnknown)?;
    let read = app.db.read_for(caller.account).await?;
    Ok(store::notification_preferences::find(&read.conn(), caller.account, agent).await?)
}
