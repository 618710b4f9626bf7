//! Sends the deliveries of a span to an endpoint of webhooks again.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use crate::{App, domain::ReplaySpan, error::NotificationError, store};

/// Number of deliveries after which a call ends. Those that were created at the same moment are sent together.
const MAX_REPLAYED: u64 = 10_000;

/// Sends them again, the oldest first. Returns their number, and where the next call begins. None: the whole span is sent again.
pub(crate) async fn replay_webhook_deliveries(
    app: &App,
    caller: &Caller,
    key: &Key,
    id: Uuid,
    span: ReplaySpan,
) -> Result<(u64, Option<Time>), NotificationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let endpoint = store::webhook_endpoints::find_for_update(&tx, caller.account, id)
        .await?
        .ok_or(NotificationError::NotFound("webhook endpoint"))?;
    if let Some(first) = key.claim::<(u64, Option<Time>)>(&tx).await? {
        return Ok(first);
    }
    let end = store::webhook_deliveries::find_time_of(&tx, &endpoint, &span, MAX_REPLAYED).await?;
    let part = ReplaySpan { ends_at: end.or(span.ends_at), ..span };
    let now = tx.now().await?;
    let replayed = (store::webhook_deliveries::replay(&tx, &endpoint, &part, now).await?, end);
    key.store_result(&tx, &replayed).await?;
    tx.on_commit(app.wake_webhooks());
    tx.commit().await?;
    Ok(replayed)
}
