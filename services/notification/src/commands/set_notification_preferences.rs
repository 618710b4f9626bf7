//! Changes what the calling agent is mailed (rule N4).

use frontdesk_auth::Caller;

use super::steps::require_active_caller;
use crate::{App, domain::NotificationPreferences, error::NotificationError, store};

/// Sets the preferences that are given. None: unchanged.
pub(crate) async fn set_notification_preferences(
    app: &App,
    caller: &Caller,
    mentions: Option<bool>,
    assignments: Option<bool>,
) -> Result<NotificationPreferences, NotificationError> {
    let agent = caller.agent_id().ok_or(NotificationError::AgentUnknown)?;
    require_active_caller(app, caller).await?;
    let tx = app.db.begin_for(caller.account).await?;
    // Of two concurrent calls for one field each, the later one sees what the first has set.
    store::mail_counts::lock(&tx, caller.account).await?;
    let before = store::notification_preferences::find(tx.conn(), caller.account, agent).await?;
    let preferences = before.with(mentions, assignments);
    if preferences != before {
        store::notification_preferences::save(&tx, caller.account, agent, preferences).await?;
    }
    tx.commit().await?;
    Ok(preferences)
}
